import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';

const MAX_BYTES = 64 * 1024;

/** The size of a file in bytes; 0 when it is not there yet. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * The last lines of a text file, oldest first; empty when it cannot be read. Reads at most 64 KiB.
 * @param from bytes to skip: what an earlier run wrote
 */
export function readTail(file: string, lines: number, from = 0): string[] {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return []; // not written yet
  }
  try {
    const size = fstatSync(fd).size;
    // A file that has become smaller was rotated: all of it is new.
    const fresh = size >= from ? size - from : size;
    const buffer = Buffer.alloc(Math.min(fresh, MAX_BYTES));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(-lines);
  } finally {
    closeSync(fd);
  }
}
