import type { LogRecord } from '../model/record.js';
import { levelsFrom, type Filter } from './filter.js';
import { mergeByTime } from './merge.js';
import { readBackward } from './read.js';
import { findSources, isSelected } from './source.js';

/**
 * The last records at error or fatal of one unit (all its instances) or one instance, oldest first; empty when there are none.
 * `sinceMs` (unix ms) leaves out what an earlier run said.
 */
export function recentErrors(
  logDir: string,
  instanceOrUnit: string,
  options: { readonly lines: number; readonly sinceMs?: number },
): LogRecord[] {
  const filter: Filter = { levels: levelsFrom('error'), since: options.sinceMs };
  const sources = findSources(logDir).filter((source) => isSelected(source, [instanceOrUnit]));
  return lastRecords(
    mergeByTime(
      sources.map((source) => readBackward(source, filter)),
      'newest-first',
    ),
    options.lines,
  );
}

/** The first `count` of a newest-first stream, oldest first. */
export function lastRecords(newestFirst: Iterable<LogRecord>, count: number): LogRecord[] {
  const records: LogRecord[] = [];
  if (count <= 0) return records;
  for (const record of newestFirst) {
    records.push(record);
    if (records.length >= count) break;
  }
  return records.reverse();
}
