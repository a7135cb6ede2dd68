import { LEVELS, type Level } from '../model/level.js';
import type { Failure } from '../model/failure.js';
import { fail, ok, type Result } from '../model/result.js';
import { suggest } from '../util/suggest.js';
import { levelsFrom } from './filter.js';
import { levelFrom } from './parse/level-name.js';

/** What `--level` says: a floor, or with a comma exactly these. */
export interface LevelChoice {
  readonly levels: ReadonlySet<Level>;
  /** `error`, or `error or fatal` for a list. */
  readonly label: string;
}

/** `error` = error and above; `error,fatal` = exactly these. Other loggers' names (`warning`, `critical`) are understood. */
export function parseLevels(text: string): Result<LevelChoice> {
  const words = text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  const levels: Level[] = [];
  for (const word of words) {
    const level = levelFrom(word);
    if (level === undefined) return fail(unknownLevel(word));
    levels.push(level);
  }
  const [first] = levels;
  if (first === undefined) return fail(unknownLevel(text));
  if (!text.includes(',')) return ok({ levels: levelsFrom(first), label: first });
  const exact = LEVELS.filter((level) => levels.includes(level));
  return ok({ levels: new Set(exact), label: exact.join(' or ') });
}

function unknownLevel(word: string): Failure {
  const near = suggest(word, LEVELS);
  return {
    kind: 'usage',
    what: `${word === '' ? 'an empty word' : `"${word}"`} is no log level`,
    mend: `${near === undefined ? '' : `Did you mean ${near}? `}The levels are ${LEVELS.join(', ')}; --level error shows error and above, --level error,warn exactly these`,
  };
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const DURATION = /^(?:\d+(?:\.\d+)?\s*(?:ms|s|min|m|h|d|w)\s*)+$/;

/**
 * A moment as unix ms: `10m`, `1h30m`, `2d` (ago), `14:02` or `14:02:30` (the last time the clock said so), `today`, `yesterday`,
 * a date, or an ISO time (without a zone: local).
 */
export function parseMoment(text: string, option: string, now: number): Result<number> {
  const word = text
    .trim()
    .toLowerCase()
    .replace(/\s+ago$/, '');
  const at = ago(word, now) ?? clock(word, now) ?? named(word, now) ?? dated(text.trim());
  if (at !== undefined) return ok(at);
  return fail({
    kind: 'usage',
    what: `${option} ${text === '' ? '""' : text} is no time`,
    mend: `Use a duration (${option} 10m), a clock time (${option} 14:02) or a date (${option} 2026-01-31T14:02)`,
  });
}

function ago(word: string, now: number): number | undefined {
  if (!DURATION.test(word)) return undefined;
  let total = 0;
  for (const [, amount, unit = ''] of word.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)/g)) {
    total += Number(amount) * (UNIT_MS[unit] ?? 0);
  }
  return Math.max(0, now - total);
}

function clock(word: string, now: number): number | undefined {
  const match = /^(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,3})?)?$/.exec(word);
  if (!match) return undefined;
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const at = new Date(now);
  at.setHours(hours, minutes, seconds, Math.round(Number(match[4] ?? 0) * 1000));
  if (at.getTime() > now) at.setDate(at.getDate() - 1);
  return at.getTime();
}

function named(word: string, now: number): number | undefined {
  if (word === 'now') return now;
  if (word !== 'today' && word !== 'yesterday') return undefined;
  const at = new Date(now);
  at.setHours(0, 0, 0, 0);
  if (word === 'yesterday') at.setDate(at.getDate() - 1);
  return at.getTime();
}

function dated(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/i.test(text))
    return undefined;
  // A bare date is local midnight, not UTC's.
  const at = Date.parse(text.length === 10 ? `${text}T00:00` : text.replace(',', '.').replace(' ', 'T'));
  return Number.isNaN(at) ? undefined : at;
}

/** `--lines`: a count, or `all`. */
export function parseLines(text: string): Result<number> {
  if (text === 'all') return ok(Infinity);
  if (/^\d{1,9}$/.test(text)) return ok(Number(text));
  return fail({
    kind: 'usage',
    what: `--lines ${text} is no number of lines`,
    mend: 'Use a count such as --lines 500, or --lines all',
  });
}

/** `--grep`: a regular expression; one that is none is searched for as plain text. Case counts unless the pattern has no capital. */
export function parseGrep(text: string): RegExp {
  const flags = /[A-Z]/.test(text) ? 'u' : 'iu';
  try {
    return new RegExp(text, flags);
  } catch {
    return new RegExp(
      text
        .replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
        .replaceAll('\\-', '-')
        .replaceAll('\\/', '/'),
      flags,
    );
  }
}
