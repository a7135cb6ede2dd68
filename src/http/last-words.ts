import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { atLeast } from '../model/level.js';
import type { LogRecord } from '../model/record.js';

const TAIL_BYTES = 64 * 1024;
const MAX_LINES = 5;

/**
 * The last error lines of a dead instance, oldest first: its own error records, else what it wrote raw (V8 out of memory,
 * a native crash).
 */
export function lastWords(logDir: string, instance: string, pid: number): readonly string[] {
  const records = tailLines(join(logDir, `${instance}.ndjson`)).flatMap((line) => parse(line) ?? []);
  const errors = records.filter((record) => record.pid === pid && atLeast(record.level, 'error'));
  if (errors.length > 0) return errors.slice(-MAX_LINES).map((record) => record.text);
  return tailLines(rawFile(logDir, instance)).slice(-MAX_LINES);
}

/** Where an instance's raw output goes: what native code writes past the capture. */
export function rawFile(logDir: string, instance: string): string {
  return join(logDir, `${instance}.err`);
}

function parse(line: string): LogRecord | undefined {
  try {
    return JSON.parse(line) as LogRecord;
  } catch {
    return undefined; // the first line of a tail is usually cut
  }
}

function tailLines(file: string): string[] {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const read = readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    return buffer
      .toString('utf8', 0, read)
      .split('\n')
      .filter((line) => line.trim() !== '');
  } finally {
    closeSync(descriptor);
  }
}
