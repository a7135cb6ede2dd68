import type { Level } from './level.js';

/** A value that JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/**
 * One log record: the shape of `memt logs --json` and of memt's own NDJSON log files.
 * Fields may be added, never changed.
 */
export interface LogRecord {
  /** ISO 8601, UTC, milliseconds. */
  readonly time: string;
  readonly level: Level;
  readonly unit: string;
  readonly instance: string;
  readonly pid: number | null;
  readonly text: string;
  readonly fields?: { readonly [key: string]: Json };
  readonly stack?: string;
}
