import { closeSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Batch } from './batch.js';
import { createFile, snapshotName, syncDirectory, writeAll } from './files.js';
import { HEADER_BYTES } from './record.js';
import type { Disk } from './wal.js';

/** Bytes encoded in one go before the event loop gets its turn. */
const SLICE = 512 * 1024;

export interface SnapshotOptions {
  readonly dir: string;
  readonly marker: number;
  readonly disk: Disk;
  /** Number of the last segment that it stands for. */
  readonly covers: number;
  readonly signal: AbortSignal;
}

/**
 * Writes a snapshot under another name, syncs it and renames it, so that it is there whole or not at all.
 * @returns its size in bytes
 */
export async function writeSnapshot(
  records: Iterable<Buffer | readonly Buffer[]>,
  options: SnapshotOptions,
): Promise<number> {
  const { dir, disk, signal } = options;
  const path = join(dir, snapshotName(options.covers));
  const temporary = `${path}.tmp`;
  rmSync(temporary, { force: true });
  const fd = await createFile(temporary, options.marker, disk);
  let position = HEADER_BYTES;
  const batch = new Batch();
  const write = async (): Promise<void> => {
    const { bytes } = batch;
    await writeAll(disk, fd, batch.take(), position);
    position += bytes;
  };
  try {
    try {
      for (const record of records) {
        batch.add(options.marker, record);
        if (batch.bytes < SLICE) continue;
        await write();
        await nextTurn();
        signal.throwIfAborted();
      }
      batch.addEnd(options.marker);
      await write();
      await disk.fdatasync(fd);
    } finally {
      closeSync(fd);
    }
    signal.throwIfAborted();
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dir);
  return position;
}
