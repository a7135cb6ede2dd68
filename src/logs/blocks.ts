import type { OpenFile } from './open-file.js';
import { startsRecord, type Dialect } from './parse/dialect.js';

const CHUNK_BYTES = 1024 * 1024;
/** A record longer than this is cut: a file without line ends must not fill the memory. */
const MAX_RECORD_BYTES = 8 * CHUNK_BYTES;
const NEWLINE = 10;

/** Range of a file, bytes. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Whole lines from the range's start to its end, about 1 MiB at a time; the last block may lack its newline. A block is valid until
 * the next one is asked for.
 */
export function* blocksForward(file: OpenFile, range: Range): Generator<Buffer> {
  let buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, range.end - range.start));
  for (let at = range.start; at < range.end;) {
    const block = file.readInto(buffer, at, Math.min(at + buffer.length, range.end));
    if (block.length === 0) return; // the file has become shorter
    const isLast = at + block.length >= range.end;
    const cut = isLast ? block.length : block.lastIndexOf(NEWLINE) + 1;
    if (cut > 0 || buffer.length >= MAX_RECORD_BYTES) {
      yield cut > 0 ? block.subarray(0, cut) : block;
      at += cut > 0 ? cut : block.length;
    } else {
      buffer = Buffer.allocUnsafe(buffer.length * 2);
    }
  }
}

/** Whole records from the range's end to its start; inside a block they stand in the order of the file. */
export function* blocksBackward(file: OpenFile, range: Range, dialect: Dialect): Generator<Buffer> {
  let tail: Buffer = Buffer.alloc(0);
  // The first looks are short: who wants the last few lines gets them without a megabyte being read.
  let step = 64 * 1024;
  for (let at = range.end; at > range.start;) {
    const from = Math.max(range.start, at - step);
    step = Math.min(CHUNK_BYTES, step * 4);
    const chunk = file.read(from, at);
    const block = tail.length > 0 ? Buffer.concat([chunk, tail]) : chunk;
    at = from;
    const cut = from === range.start ? 0 : firstRecordStart(block, dialect);
    if (cut === undefined && block.length <= MAX_RECORD_BYTES) {
      tail = block;
      continue;
    }
    if ((cut ?? 0) < block.length) yield block.subarray(cut ?? 0);
    tail = cut === undefined ? Buffer.alloc(0) : block.subarray(0, cut);
  }
  if (tail.length > 0) yield tail;
}

/** Offset of the first line that surely begins a record, in a block that may begin anywhere; undefined when there is none. */
function firstRecordStart(block: Buffer, dialect: Dialect): number | undefined {
  const first = block.indexOf(NEWLINE) + 1;
  if (first === 0 || first === block.length) return undefined;
  if (dialect === 'ndjson') return first;
  const group: string[] = [];
  for (let start = first; start < block.length;) {
    const newline = block.indexOf(NEWLINE, start);
    const end = newline === -1 ? block.length : newline;
    const line = block.toString('utf8', start, end);
    if (group.length > 0 && startsRecord(dialect, line, group)) return start;
    group.push(line);
    start = end + 1;
  }
  return undefined;
}

/** The lines of a block with the offsets of each, carriage returns of Windows tools removed. */
export function linesOf(block: Buffer): string[] {
  const lines = block.toString('utf8').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
