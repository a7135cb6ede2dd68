import type { Level } from '../model/level.js';
import type { LogRecord } from '../model/record.js';
import { bisectRange } from './bisect.js';
import { blocksBackward, blocksForward, linesOf, type Range } from './blocks.js';
import { passes, type Filter } from './filter.js';
import { countLevels, linesWithLevels } from './level-scan.js';
import { openLog, type OpenFile } from './open-file.js';
import { startsRecord, type Dialect } from './parse/dialect.js';
import { isUntimed, recordOf, type Untimed } from './record-of.js';
import type { LogSource } from './source.js';

/** Records without a time that wait for the next one that has it: beyond this many they take the file's own time. */
const MAX_UNTIMED = 5000;

/** The kernel stamps files with a clock that ticks more coarsely than ours, ms. */
const CLOCK_SLACK_MS = 1000;

/** Sizes of files at one moment: readers stop there, so that a follower can go on from exactly there. */
export type Snapshot = ReadonlyMap<string, number>;

/** The matching records of a source, newest first. Reads only as far as it is asked. */
export function* readBackward(source: LogSource, filter: Filter, snapshot?: Snapshot): Generator<LogRecord> {
  for (const path of source.files.toReversed()) {
    yield* withFile(path, filter, source.dialect, snapshot, function* (file, range) {
      let time = new Date(file.modifiedAt).toISOString();
      for (const block of blocksBackward(file, range, source.dialect)) {
        for (const record of recordsOf(block, source, filter).reverse()) {
          // What has no time was written before what follows it in the file.
          const timed = isUntimed(record) ? { ...record, time } : record;
          time = timed.time;
          if (passes(filter, timed)) yield timed;
        }
      }
    });
  }
}

/** The matching records of a source, oldest first. */
export function* readForward(source: LogSource, filter: Filter, snapshot?: Snapshot): Generator<LogRecord> {
  for (const path of source.files) {
    yield* withFile(path, filter, source.dialect, snapshot, function* (file, range) {
      for (const record of timed(forwardRecords(file, range, source, filter), file.modifiedAt)) {
        if (passes(filter, record)) yield record;
      }
    });
  }
}

export interface Counts {
  readonly counts: Record<Level, number>;
  /** Time of the first record; undefined when there is none. */
  readonly oldest: string | undefined;
}

/** How many records of each level the source has between the filter's times. */
export function countRecords(source: LogSource, filter: Filter): Counts {
  const counts: Record<Level, number> = { trace: 0, debug: 0, info: 0, warn: 0, error: 0, fatal: 0 };
  const window: Filter = { levels: new Set(), since: filter.since, until: filter.until };
  let oldest: string | undefined;
  for (const record of readForward(source, window)) {
    oldest ??= record.time;
    if (source.dialect === 'ndjson') break;
    counts[record.level] += 1;
  }
  if (source.dialect === 'ndjson') countFast(source, window, counts);
  return { counts, oldest };
}

/** Our own lines are counted by a byte each. */
function countFast(source: LogSource, { since, until }: Filter, counts: Record<Level, number>): void {
  const iso = (time: number | undefined): string | undefined =>
    time === undefined ? undefined : new Date(time).toISOString();
  for (const path of source.files) {
    const file = openLog(path);
    if (!file) continue;
    try {
      for (const block of blocksForward(file, bisectRange(file, source.dialect, since, until))) {
        countLevels(block, counts, { since: iso(since), until: iso(until) }, () => (counts.info += 1));
      }
    } finally {
      file.close();
    }
  }
}

function* withFile(
  path: string,
  filter: Filter,
  dialect: Dialect,
  snapshot: Snapshot | undefined,
  read: (file: OpenFile, range: Range) => Generator<LogRecord>,
): Generator<LogRecord> {
  const file = openLog(path);
  if (!file) return;
  try {
    // A file that was last written before the window began holds nothing of it.
    if (filter.since !== undefined && file.modifiedAt + CLOCK_SLACK_MS < filter.since) return;
    const range = bisectRange(file, dialect, filter.since, filter.until);
    const end = Math.min(range.end, snapshot?.get(path) ?? range.end);
    if (range.start < end) yield* read(file, { start: range.start, end });
  } finally {
    file.close();
  }
}

/** Every record of a block of whole records, in order; only those of the filter's levels where they can be found without parsing. */
function recordsOf(block: Buffer, source: LogSource, filter: Filter): (LogRecord | Untimed)[] {
  if (source.dialect === 'ndjson') {
    return (linesWithLevels(block, filter.levels) ?? linesOf(block)).flatMap((line) => recordOf(source, [line]) ?? []);
  }
  const records: (LogRecord | Untimed)[] = [];
  let group: string[] = [];
  const end = (): void => {
    const record = recordOf(source, group);
    if (record) records.push(record);
    group = [];
  };
  for (const line of linesOf(block)) {
    if (group.length > 0 && startsRecord(source.dialect, line, group)) end();
    group.push(line);
  }
  if (group.length > 0) end();
  return records;
}

function* forwardRecords(
  file: OpenFile,
  range: Range,
  source: LogSource,
  filter: Filter,
): Generator<LogRecord | Untimed> {
  if (source.dialect === 'ndjson') {
    for (const block of blocksForward(file, range)) yield* recordsOf(block, source, filter);
    return;
  }
  let group: string[] = [];
  for (const block of blocksForward(file, range)) {
    for (const line of linesOf(block)) {
      if (group.length > 0 && startsRecord(source.dialect, line, group)) {
        const record = recordOf(source, group);
        if (record) yield record;
        group = [];
      }
      group.push(line);
    }
  }
  const last = group.length > 0 ? recordOf(source, group) : undefined;
  if (last) yield last;
}

/** Gives records without a time that of the next one that has it, or the file's own. */
function* timed(records: Iterable<LogRecord | Untimed>, modifiedAt: number): Generator<LogRecord> {
  let waiting: Untimed[] = [];
  for (const record of records) {
    if (isUntimed(record) && waiting.length < MAX_UNTIMED) {
      waiting.push(record);
      continue;
    }
    const time = isUntimed(record) ? new Date(modifiedAt).toISOString() : record.time;
    for (const earlier of waiting) yield { ...earlier, time };
    waiting = [];
    yield { ...record, time };
  }
  const time = new Date(modifiedAt).toISOString();
  for (const record of waiting) yield { ...record, time };
}
