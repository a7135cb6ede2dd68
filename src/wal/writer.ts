import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { FailureError } from '../model/failure.js';
import { Batch } from './batch.js';
import { createFile, segmentName, syncDirectory, writeAll, writeAllSync } from './files.js';
import { HEADER_BYTES } from './record.js';
import { diskTrouble } from './trouble.js';
import { Waiters } from './waiters.js';
import type { Disk } from './wal.js';

/** Batches up to this size (bytes) are written without a trip through the thread pool, unless a sync would block them. */
const SYNC_WRITE_LIMIT = 64 * 1024;

export interface Tail {
  readonly fd: number;
  readonly number: number;
  /** Bytes in that segment so far. */
  readonly position: number;
}

export interface WriterOptions {
  readonly dir: string;
  readonly marker: number;
  readonly disk: Disk;
  readonly segmentBytes: number;
  readonly syncIntervalMs: number;
  onFailed(error: FailureError): void;
}

interface Sealed {
  readonly buffers: Buffer[];
  readonly bytes: number;
  readonly sequence: number;
  /** Set when this batch ends its segment: told the segment's number. */
  readonly ended: Ended | null;
}

interface Ended {
  resolve(segment: number): void;
  reject(error: FailureError): void;
}

/** Group commit: one write per event-loop turn, one fdatasync for all who wait, segment after segment. */
export class Writer {
  failure: FailureError | null = null;
  /** Bytes of the segments finished here. */
  private closedBytes = 0;
  private fd: number;
  private number: number;
  private position: number;
  private readonly batch = new Batch();
  private readonly sealed: Sealed[] = [];
  private appended = 0;
  private writtenUpTo = 0;
  private syncedUpTo = 0;
  private readonly writtenWaiters = new Waiters();
  private readonly syncedWaiters = new Waiters();
  private scheduled: NodeJS.Immediate | null = null;
  private draining: Promise<void> | null = null;
  private syncing: Promise<void> | null = null;
  private rotating = false;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    tail: Tail,
    private readonly options: WriterOptions,
  ) {
    this.fd = tail.fd;
    this.number = tail.number;
    this.position = tail.position;
  }

  /** Bytes of the segment that was the last one at the start, of all since, and of the buffer. */
  get bytes(): number {
    return this.closedBytes + this.position + this.batch.bytes + this.sealed.reduce((sum, one) => sum + one.bytes, 0);
  }

  append(payload: Buffer | readonly Buffer[]): void {
    if (this.failure) return;
    this.batch.add(this.options.marker, payload);
    this.appended += 1;
    this.schedule();
  }

  written(): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    return this.appended === this.writtenUpTo ? Promise.resolve() : this.writtenWaiters.wait(this.appended);
  }

  synced(): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    if (this.appended === this.syncedUpTo) return Promise.resolve();
    const promise = this.syncedWaiters.wait(this.appended);
    if (this.appended === this.writtenUpTo) this.sync();
    return promise;
  }

  /** Ends the current segment after everything appended so far; resolves with its number once all of that is on the disk. */
  rotate(): Promise<number> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.seal({ resolve, reject });
      this.schedule();
    });
  }

  async close(): Promise<void> {
    if (this.scheduled) clearImmediate(this.scheduled);
    this.scheduled = null;
    await (this.draining ?? this.drain());
    while (this.failure === null && this.syncedUpTo < this.appended) await this.synced().catch(() => undefined);
    await this.syncing;
    if (this.timer) clearTimeout(this.timer);
    closeSync(this.fd);
  }

  private schedule(): void {
    if (this.scheduled !== null || this.draining !== null) return;
    this.scheduled = setImmediate(() => {
      this.scheduled = null;
      void this.drain();
    });
  }

  private seal(ended: Sealed['ended']): void {
    const bytes = this.batch.bytes;
    this.sealed.push({ buffers: this.batch.take(), bytes, sequence: this.appended, ended });
  }

  private drain(): Promise<void> {
    const run = this.writeBatches().finally(() => {
      this.draining = null;
      if (this.failure === null && (this.batch.bytes > 0 || this.sealed.length > 0)) this.schedule();
    });
    return (this.draining = run);
  }

  private async writeBatches(): Promise<void> {
    try {
      while (this.failure === null) {
        if (this.sealed.length === 0 && this.batch.bytes > 0) this.seal(null);
        const next = this.sealed[0];
        if (next === undefined) return;
        await this.write(next);
        this.sealed.shift();
      }
    } catch (error) {
      this.fail(diskTrouble(error, `write ${this.file}`));
    }
  }

  private async write(next: Sealed): Promise<void> {
    if (next.bytes > 0) {
      if (this.position > HEADER_BYTES && this.position + next.bytes > this.options.segmentBytes) {
        // Without room for a new segment the old one takes more, until the disk is really full.
        await this.nextSegment();
      }
      const { disk } = this.options;
      if (next.bytes <= SYNC_WRITE_LIMIT && this.syncing === null)
        writeAllSync(disk, this.fd, next.buffers, this.position);
      else await writeAll(disk, this.fd, next.buffers, this.position);
      this.position += next.bytes;
      this.writtenUpTo = next.sequence;
      this.writtenWaiters.reached(next.sequence);
      if ((this.syncedWaiters.next ?? Infinity) <= next.sequence) this.sync();
      else this.armTimer();
    }
    if (next.ended) {
      const segment = this.number;
      const refused = await this.nextSegment();
      if (refused) next.ended.reject(refused);
      else next.ended.resolve(segment);
    }
  }

  /**
   * The old segment is synced before the new one begins, so only the last one can ever have a torn tail.
   * @returns why there is no new segment; the old one is in use then as before
   */
  private async nextSegment(): Promise<FailureError | null> {
    this.rotating = true;
    try {
      await this.syncing;
      const upTo = this.writtenUpTo;
      await this.options.disk.fdatasync(this.fd);
      this.reachedSync(upTo);
      const number = this.number + 1;
      const path = join(this.options.dir, segmentName(number));
      let fd: number;
      try {
        fd = await createFile(path, this.options.marker, this.options.disk);
      } catch (error) {
        return diskTrouble(error, `create ${path}`);
      }
      await syncDirectory(this.options.dir);
      closeSync(this.fd);
      this.closedBytes += this.position;
      this.fd = fd;
      this.number = number;
      this.position = HEADER_BYTES;
      return null;
    } finally {
      this.rotating = false;
    }
  }

  private armTimer(): void {
    if (this.timer !== null || this.options.syncIntervalMs <= 0) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.syncedUpTo < this.writtenUpTo) this.sync();
    }, this.options.syncIntervalMs);
    this.timer.unref();
  }

  private sync(): void {
    if (this.syncing !== null || this.rotating || this.failure !== null) return;
    const upTo = this.writtenUpTo;
    this.syncing = this.options.disk
      .fdatasync(this.fd)
      .then(
        () => this.reachedSync(upTo),
        (error: unknown) => this.fail(diskTrouble(error, `sync ${this.file}`)),
      )
      .finally(() => {
        this.syncing = null;
        if ((this.syncedWaiters.next ?? Infinity) <= this.writtenUpTo) this.sync();
        else if (this.syncedUpTo < this.writtenUpTo) this.armTimer();
      });
  }

  private reachedSync(sequence: number): void {
    if (this.failure) return;
    this.syncedUpTo = sequence;
    this.syncedWaiters.reached(sequence);
  }

  private get file(): string {
    return join(this.options.dir, segmentName(this.number));
  }

  /** After a failed write or sync nobody knows what the disk holds, so nothing is acknowledged or written any more. */
  private fail(error: FailureError): void {
    if (this.failure) return;
    this.failure = error;
    this.batch.take();
    for (const one of this.sealed.splice(0)) one.ended?.reject(error);
    this.writtenWaiters.fail(error);
    this.syncedWaiters.fail(error);
    this.options.onFailed(error);
  }
}
