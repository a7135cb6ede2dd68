import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { FailureError } from '../model/failure.js';
import { nodeDisk } from './disk.js';
import { createFile, listFiles, removeFiles, segmentName, snapshotName, syncDirectory, writeAll } from './files.js';
import { lockDirectory } from './owner.js';
import { encodeHeader, HEADER_BYTES } from './record.js';
import { replayFile } from './replay.js';
import { writeSnapshot } from './snapshot.js';
import { damage, diskTrouble } from './trouble.js';
import { Writer, type Tail } from './writer.js';
import type { Disk, Wal, WalOptions } from './wal.js';

const SEGMENT_BYTES = 64 * 1024 * 1024;
const SYNC_INTERVAL_MS = 100;

interface Opened {
  readonly marker: number;
  readonly tail: Tail;
  /** Bytes of the snapshot and of the segments before the last. */
  readonly earlierBytes: number;
}

export async function openLog(dir: string, options: WalOptions): Promise<Wal> {
  const disk = options.disk ?? nodeDisk;
  let unlock = (): void => undefined;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    unlock = lockDirectory(dir);
    const opened = await replay(dir, options, disk);
    // Only now: were the snapshot damaged, these could be its last good copy.
    removeFiles(dir, listFiles(dir).leftovers);
    return new Log(dir, options, disk, opened, unlock);
  } catch (error) {
    unlock();
    throw diskTrouble(error, `use the data folder ${dir}`);
  }
}

async function replay(dir: string, options: WalOptions, disk: Disk): Promise<Opened> {
  const { snapshot, segments } = listFiles(dir);
  let marker: number | undefined;
  let earlierBytes = 0;
  if (snapshot !== null) {
    const path = join(dir, snapshotName(snapshot));
    const found = await replayFile(path, options.onRecord);
    if (found.kind !== 'whole' || !found.closed)
      throw damage(path, found.kind === 'unborn' ? 0 : found.end, 'it ends too early');
    marker = found.marker;
    earlierBytes += found.end;
  }
  const first = (snapshot ?? 0) + 1;
  for (const [index, number] of segments.entries()) {
    const path = join(dir, segmentName(number));
    if (number !== first + index) throw missing(dir, first + index);
    const found = await replayFile(path, options.onRecord);
    const last = index === segments.length - 1;
    if (found.kind !== 'unborn') marker = found.marker;
    if (last) {
      marker ??= newMarker();
      return { marker, earlierBytes, tail: await mend(path, number, found, marker, options, disk) };
    }
    if (found.kind !== 'whole')
      throw damage(
        path,
        found.kind === 'torn' ? found.end : 0,
        'it ends in the middle of a record, but a later file follows',
      );
    earlierBytes += found.end;
  }
  marker ??= newMarker();
  const fd = await createFile(join(dir, segmentName(first)), marker, disk);
  await syncDirectory(dir);
  return { marker, earlierBytes, tail: { fd, number: first, position: HEADER_BYTES } };
}

/** The last segment, ready for more: a torn tail is cut off, since nothing in it was ever acknowledged as synced. */
async function mend(
  path: string,
  number: number,
  found: Awaited<ReturnType<typeof replayFile>>,
  marker: number,
  options: WalOptions,
  disk: Disk,
): Promise<Tail> {
  const fd = openSync(path, 'r+');
  try {
    switch (found.kind) {
      case 'whole':
        return { fd, number, position: found.end };
      case 'torn':
        ftruncateSync(fd, found.end);
        await disk.fdatasync(fd);
        options.onRepair?.(`${path}: cut off ${found.lost} bytes of an unfinished write at offset ${found.end}`);
        return { fd, number, position: found.end };
      case 'unborn':
        ftruncateSync(fd, 0);
        await writeAll(disk, fd, [encodeHeader(marker)], 0);
        await disk.fdatasync(fd);
        options.onRepair?.(`${path}: began it again, it had no header yet (${found.lost} bytes)`);
        return { fd, number, position: HEADER_BYTES };
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function newMarker(): number {
  return randomBytes(4).readUInt32LE();
}

function missing(dir: string, number: number): FailureError {
  return new FailureError({
    kind: 'data-dir',
    what: `${join(dir, segmentName(number))} is missing, but later files are there`,
    cause: 'It was removed from outside',
    mend: 'Restore the folder from a copy, or delete it to begin with empty data; nothing in it was changed',
  });
}

class Log implements Wal {
  private readonly writer: Writer;
  private earlierBytes: number;
  private running: Promise<void> | null = null;
  private readonly ending = new AbortController();
  private closed: Promise<void> | null = null;

  constructor(
    private readonly dir: string,
    options: WalOptions,
    private readonly disk: Disk,
    private readonly opened: Opened,
    private readonly unlock: () => void,
  ) {
    this.earlierBytes = opened.earlierBytes;
    this.writer = new Writer(opened.tail, {
      dir,
      disk,
      marker: opened.marker,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      syncIntervalMs: options.syncIntervalMs ?? SYNC_INTERVAL_MS,
      onFailed: (error) => options.onFailed?.(error),
    });
  }

  get totalBytes(): number {
    return this.earlierBytes + this.writer.bytes;
  }

  get failure(): FailureError | null {
    return this.writer.failure;
  }

  get compacting(): boolean {
    return this.running !== null;
  }

  append(payload: Buffer | readonly Buffer[]): void {
    if (this.closed) throw new Error(`the log in ${this.dir} is closed`);
    this.writer.append(payload);
  }

  written(): Promise<void> {
    return this.writer.written();
  }

  synced(): Promise<void> {
    return this.writer.synced();
  }

  snapshot(records: Iterable<Buffer | readonly Buffer[]>): Promise<void> {
    if (this.closed) throw new Error(`the log in ${this.dir} is closed`);
    if (this.running) throw new Error(`the log in ${this.dir} is being compacted already`);
    const run = this.compact(records).finally(() => (this.running = null));
    this.running = run.catch(() => undefined);
    return run;
  }

  private async compact(records: Iterable<Buffer | readonly Buffer[]>): Promise<void> {
    const replacedBytes = this.totalBytes;
    const covers = await this.writer.rotate();
    try {
      const size = await writeSnapshot(records, {
        dir: this.dir,
        marker: this.opened.marker,
        disk: this.disk,
        covers,
        signal: this.ending.signal,
      });
      this.earlierBytes += size - replacedBytes;
      removeFiles(this.dir, listFiles(this.dir).leftovers);
    } catch (error) {
      throw diskTrouble(error, `write a snapshot in ${this.dir}`);
    }
  }

  close(): Promise<void> {
    return (this.closed ??= this.end());
  }

  private async end(): Promise<void> {
    this.ending.abort(new FailureError({ kind: 'cancelled', what: `the log in ${this.dir} is being closed` }));
    try {
      await this.running;
      await this.writer.close();
    } finally {
      this.unlock();
    }
  }
}
