import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** A log file that is being read. `size` is what it was when it was opened: what is written later is for the follower. */
export interface OpenFile {
  readonly size: number;
  readonly inode: number;
  /** Unix ms. */
  readonly modifiedAt: number;
  /** The bytes from `start` to `end` (exclusive); fewer when the file has become shorter. */
  read(start: number, end: number): Buffer;
  /** The same into the beginning of `buffer`, which must be large enough. */
  readInto(buffer: Buffer, start: number, end: number): Buffer;
  close(): void;
}

/** Opens for reading; undefined when it is gone, unreadable or no regular file (a pipe would block for ever). */
export function openLog(path: string): OpenFile | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined; // rotated away, or another user's
  }
  const stat = fstatSync(fd);
  const close = (): void => closeSync(fd);
  if (!stat.isFile()) {
    close();
    return undefined;
  }
  return {
    size: stat.size,
    inode: stat.ino,
    modifiedAt: Math.round(stat.mtimeMs),
    read: (start, end) => readRange(fd, Buffer.allocUnsafe(Math.max(0, end - start)), start, end),
    readInto: (buffer, start, end) => readRange(fd, buffer, start, end),
    close,
  };
}

function readRange(fd: number, buffer: Buffer, start: number, end: number): Buffer {
  const wanted = Math.max(0, end - start);
  let filled = 0;
  while (filled < wanted) {
    const count = readSync(fd, buffer, filled, wanted - filled, start + filled);
    if (count === 0) break;
    filled += count;
  }
  return buffer.subarray(0, filled);
}
