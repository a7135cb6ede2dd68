import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeHeader } from './record.js';
import type { Disk } from './wal.js';

/** `<number>.wal` holds records in order; `<number>.snap` stands for every segment up to its number. */
export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}.wal`;
}
export function snapshotName(number: number): string {
  return `${String(number).padStart(8, '0')}.snap`;
}

export interface LogFiles {
  /** Number of the newest snapshot; null when there is none. */
  readonly snapshot: number | null;
  /** Segments after the snapshot, ascending. */
  readonly segments: readonly number[];
  /** What a crash in the middle of a compaction left behind. */
  readonly leftovers: readonly string[];
}

export function listFiles(dir: string): LogFiles {
  const names = readdirSync(dir);
  const numbers = (suffix: string): number[] =>
    names
      .filter((name) => name.endsWith(suffix) && /^\d{8,15}\.[a-z]+$/.test(name))
      .map((name) => parseInt(name, 10))
      .sort((a, b) => a - b);
  const snapshot = numbers('.snap').at(-1) ?? null;
  const covered = snapshot ?? 0;
  return {
    snapshot,
    segments: numbers('.wal').filter((number) => number > covered),
    leftovers: [
      ...names.filter((name) => name.endsWith('.snap.tmp')),
      ...numbers('.snap')
        .filter((number) => number < covered)
        .map(snapshotName),
      ...numbers('.wal')
        .filter((number) => number <= covered)
        .map(segmentName),
    ],
  };
}

export function removeFiles(dir: string, names: readonly string[]): void {
  for (const name of names) rmSync(join(dir, name), { force: true });
}

/** A new file with its header on the disk, as a descriptor; the name itself is durable after `syncDirectory`. */
export async function createFile(path: string, marker: number, disk: Disk): Promise<number> {
  const fd = openSync(path, 'wx', 0o600);
  try {
    await writeAll(disk, fd, [encodeHeader(marker)], 0);
    await disk.fdatasync(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    rmSync(path, { force: true });
    throw error;
  }
}

/** Writes all bytes at `position`, however often the system takes only a part of them. */
export async function writeAll(disk: Disk, fd: number, buffers: readonly Buffer[], position: number): Promise<void> {
  let rest = buffers;
  let at = position;
  while (rest.length > 0) {
    const written = await disk.writev(fd, rest, at);
    at += written;
    rest = skipBytes(rest, written);
  }
}

/** As `writeAll`, without leaving this turn of the event loop. */
export function writeAllSync(disk: Disk, fd: number, buffers: readonly Buffer[], position: number): void {
  let rest = buffers;
  let at = position;
  while (rest.length > 0) {
    const written = disk.writevSync(fd, rest, at);
    at += written;
    rest = skipBytes(rest, written);
  }
}

function skipBytes(buffers: readonly Buffer[], count: number): readonly Buffer[] {
  let left = count;
  let index = 0;
  for (let first = buffers[0]; first !== undefined && left >= first.length; first = buffers[index]) {
    left -= first.length;
    index += 1;
  }
  const rest = buffers.slice(index);
  if (left > 0 && rest[0]) rest[0] = rest[0].subarray(left);
  return rest;
}

/** Makes created, renamed and removed names durable. */
export async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
