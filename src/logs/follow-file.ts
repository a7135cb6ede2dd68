import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { LogRecord } from '../model/record.js';
import { startsRecord } from './parse/dialect.js';
import { isUntimed, recordOf } from './record-of.js';
import type { LogSource } from './source.js';

const CHUNK_BYTES = 256 * 1024;
/** What one look takes at most, so that a flood in one file does not starve the others. */
const MAX_LOOK_BYTES = 8 * 1024 * 1024;
const MAX_LINE_BYTES = 1024 * 1024;
const NEWLINE = 10;

/** Follows one source over rotation, truncation and re-creation. */
export interface FileFollower {
  /** The records that were written since the last look. `source` may name new rotated files. */
  look(source: LogSource): LogRecord[];
  close(): void;
}

/**
 * Follows from `offset` (bytes) in the source's current file; a file that does not exist yet is read from its start once it does.
 * A group of lines is given out when the next one begins, or after a look that brought nothing new.
 */
export function followFile(first: LogSource, offset: number): FileFollower {
  let open: { readonly fd: number; readonly inode: number } | undefined;
  let at = offset;
  let carry: Buffer = Buffer.alloc(0);
  let group: string[] = [];
  let source = first;
  let found: LogRecord[] = [];

  const emitGroup = (): void => {
    const record = group.length > 0 ? recordOf(source, group) : undefined;
    group = [];
    if (record) found.push(isUntimed(record) ? { ...record, time: new Date().toISOString() } : record);
  };
  const takeLine = (line: string): void => {
    if (group.length > 0 && startsRecord(source.dialect, line, group)) emitGroup();
    group.push(line);
    if (source.dialect === 'ndjson') emitGroup();
  };
  const takeBytes = (chunk: Buffer): void => {
    let bytes = carry.length > 0 ? Buffer.concat([carry, chunk]) : chunk;
    for (let newline = bytes.indexOf(NEWLINE); newline !== -1; newline = bytes.indexOf(NEWLINE)) {
      takeLine(bytes.toString('utf8', 0, newline));
      bytes = bytes.subarray(newline + 1);
    }
    carry = Buffer.from(bytes);
    if (carry.length > MAX_LINE_BYTES) endLine();
  };
  const endLine = (): void => {
    if (carry.length > 0) takeLine(carry.toString('utf8'));
    carry = Buffer.alloc(0);
  };
  /** Reads what is new in the open file; true when there was something. */
  const readNew = (fd: number): boolean => {
    const size = fstatSync(fd).size;
    if (size < at) {
      at = 0; // truncated
      endLine();
    }
    const limit = Math.min(size, at + MAX_LOOK_BYTES);
    const began = at;
    while (at < limit) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, limit - at));
      const count = readSync(fd, buffer, 0, buffer.length, at);
      if (count === 0) break;
      at += count;
      takeBytes(buffer.subarray(0, count));
    }
    return at > began;
  };
  const close = (): void => {
    if (open) closeSync(open.fd);
    open = undefined;
  };
  const openPath = (path: string): void => {
    const fd = openSync(path, 'r');
    open = { fd, inode: fstatSync(fd).ino };
  };
  const readWhole = (path: string): void => {
    openPath(path);
    at = 0;
    while (open && readNew(open.fd)) {
      // a rotated file is read to its end
    }
    endLine();
    close();
  };
  /** The path names another file now: finish ours, then those that were rotated away since, then take the new one. */
  const afterRotation = (inode: number): void => {
    endLine();
    close();
    const rotated = source.files.filter((path) => path !== source.path);
    const ours = rotated.findLastIndex((path) => inodeOf(path) === inode);
    for (const path of ours === -1 ? [] : rotated.slice(ours + 1)) readWhole(path);
    at = 0;
    openPath(source.path);
    if (open) readNew(open.fd);
  };

  return {
    look(now) {
      source = now;
      found = [];
      try {
        if (!open) openPath(source.path);
        const moved = open !== undefined && readNew(open.fd);
        const inode = inodeOf(source.path);
        if (open && !moved && inode !== undefined && inode !== open.inode) afterRotation(open.inode);
        else if (!moved) emitGroup();
      } catch {
        close(); // deleted between two calls: the next look finds it, or its successor
      }
      return found;
    },
    close,
  };
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}
