import type { Range } from './blocks.js';
import type { OpenFile } from './open-file.js';
import { timeOfLine, type Dialect } from './parse/dialect.js';

const NEWLINE = 10;
const PROBE_BYTES = 64 * 1024;
/** Records may be written this much later than their time says, ms: engines buffer, clocks are corrected. */
const SLACK_MS = 60_000;

/**
 * The part of a time-ordered file that can hold records from `since` to `until` (unix ms), found with a few reads. Generous at both
 * ends: the filter drops what is outside.
 */
export function bisectRange(
  file: OpenFile,
  dialect: Dialect,
  since: number | undefined,
  until: number | undefined,
): Range {
  if (dialect === 'stdout' || dialect === 'stderr') return { start: 0, end: file.size };
  const start = since === undefined ? 0 : before(file, dialect, since - SLACK_MS).low;
  const end = until === undefined ? file.size : lineEnd(file, before(file, dialect, until + SLACK_MS).high);
  return { start, end: Math.max(start, end) };
}

/** `low`: the start of a line that is older than `time`, or 0. `high`: an offset whose next line is not older, or the size. */
function before(file: OpenFile, dialect: Dialect, time: number): { readonly low: number; readonly high: number } {
  let low = 0;
  let high = file.size;
  while (high - low > PROBE_BYTES) {
    const middle = low + Math.floor((high - low) / 2);
    const probe = timedLine(file, dialect, middle, high);
    if (probe && probe.time < time) low = probe.offset;
    else high = middle;
  }
  return { low, high };
}

/** The first line beginning after `from` (and before `to`) that has a time, within one probe. */
function timedLine(
  file: OpenFile,
  dialect: Dialect,
  from: number,
  to: number,
): { readonly offset: number; readonly time: number } | undefined {
  const block = file.read(from, Math.min(from + PROBE_BYTES, to));
  for (let start = block.indexOf(NEWLINE) + 1; start > 0 && start < block.length;) {
    const newline = block.indexOf(NEWLINE, start);
    if (newline === -1) return undefined;
    const time = timeOfLine(dialect, block.toString('utf8', start, Math.min(newline, start + 400)));
    if (time !== undefined) return { offset: from + start, time: Date.parse(time) };
    start = newline + 1;
  }
  return undefined;
}

function lineEnd(file: OpenFile, offset: number): number {
  for (let at = offset; at < file.size; at += PROBE_BYTES) {
    const newline = file.read(at, Math.min(at + PROBE_BYTES, file.size)).indexOf(NEWLINE);
    if (newline !== -1) return at + newline + 1;
  }
  return file.size;
}
