import { LEVELS, type Level } from '../model/level.js';
import type { LogRecord } from '../model/record.js';

/** What a reader wants to see. Times are unix ms, both ends inclusive. */
export interface Filter {
  /** Empty = every level. */
  readonly levels: ReadonlySet<Level>;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Tested against text and stack. */
  readonly grep?: RegExp | undefined;
}

export const NO_FILTER: Filter = { levels: new Set() };

/** The level and everything above it. */
export function levelsFrom(floor: Level): ReadonlySet<Level> {
  return new Set(LEVELS.slice(LEVELS.indexOf(floor)));
}

/** Key in `fields` by which a process marks in its raw output files where it began: gives times, is no record to show. */
export const MARK = 'mark';

export function passes(filter: Filter, record: LogRecord): boolean {
  if (record.fields?.[MARK] === true) return false;
  if (filter.levels.size > 0 && !filter.levels.has(record.level)) return false;
  if (filter.since !== undefined || filter.until !== undefined) {
    const at = Date.parse(record.time);
    if (filter.since !== undefined && at < filter.since) return false;
    if (filter.until !== undefined && at > filter.until) return false;
  }
  return (
    filter.grep === undefined ||
    filter.grep.test(record.text) ||
    (record.stack !== undefined && filter.grep.test(record.stack))
  );
}
