import { LEVELS, type Level } from '../model/level.js';
import type { Filter } from './filter.js';
import { localTime } from './format.js';
import { countRecords } from './read.js';
import type { LogSource } from './source.js';

/**
 * Why nothing was shown, with the real counts: `no error lines from 5 units since 14:02 (1,284 below error; --level warn shows 6)`.
 * `label` is how the wanted levels are called; empty when all are shown.
 */
export function emptyAnswer(sources: readonly LogSource[], filter: Filter, label: string, now: number): string {
  const counts: Record<Level, number> = { trace: 0, debug: 0, info: 0, warn: 0, error: 0, fatal: 0 };
  let oldest: string | undefined;
  for (const source of sources) {
    const one = countRecords(source, filter);
    for (const level of LEVELS) counts[level] += one.counts[level];
    if (one.oldest !== undefined && (oldest === undefined || one.oldest < oldest)) oldest = one.oldest;
  }
  const units = new Set(sources.map((source) => source.unit)).size;
  const since = filter.since === undefined ? oldest : new Date(filter.since).toISOString();
  const what = `no ${label === '' ? '' : `${label} `}lines${filter.grep ? ` that match ${String(filter.grep)}` : ''}`;
  const where = ` from ${units} ${units === 1 ? 'unit' : 'units'}`;
  return `${what}${where}${since === undefined ? '' : ` since ${when(since, now)}`} (${rest(counts, filter, label)})`;
}

function rest(counts: Record<Level, number>, filter: Filter, label: string): string {
  const total = LEVELS.reduce((sum, level) => sum + counts[level], 0);
  if (total === 0)
    return filter.since === undefined && filter.until === undefined
      ? 'nothing was logged yet'
      : 'nothing was logged then';
  if (filter.levels.size === 0 || filter.grep) return `${grouped(total)} lines looked at`;
  const lowest = LEVELS.findIndex((level) => filter.levels.has(level));
  const isFloor = filter.levels.size === LEVELS.length - lowest;
  const hidden = isFloor ? `${grouped(total)} below ${label}` : `${grouped(total)} at other levels`;
  const next = LEVELS.findLast((level, index) => (index < lowest || !isFloor) && counts[level] > 0);
  if (next === undefined) return hidden;
  const shown = LEVELS.slice(LEVELS.indexOf(next)).reduce((sum, level) => sum + counts[level], 0);
  return `${hidden}; --level ${next} shows ${grouped(shown)}`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** `14:02` today, `2026-01-02 14:02` on another day. */
function when(iso: string, now: number): string {
  const today = localTime(new Date(now).toISOString(), true).slice(0, 10);
  const text = localTime(iso, true);
  return text.startsWith(today) ? text.slice(11, 16) : text.slice(0, 16);
}
