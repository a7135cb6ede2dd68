import type { Level } from '../../model/level.js';
import type { Json } from '../../model/record.js';

export type Fields = { readonly [key: string]: Json };

/** What one line, or one group of lines, says by itself; unit and instance come from the file that it was found in. */
export interface Parsed {
  /** ISO 8601 UTC with milliseconds; undefined when the line carries no time. */
  readonly time?: string | undefined;
  readonly level: Level;
  readonly text: string;
  readonly pid?: number | undefined;
  readonly fields?: Fields | undefined;
  readonly stack?: string | undefined;
}

/** Where a line without a dialect was written. */
export type Stream = 'stdout' | 'stderr';
