import type { FailureError } from '../model/failure.js';
import { openLog } from './open.js';

/** Bytes that each record costs on disk beside its payload. */
export { RECORD_OVERHEAD } from './record.js';

export interface WalOptions {
  /**
   * Called once per record, oldest first, before `openWal` resolves. `payload` is a view on a larger read buffer: it stays intact,
   * but keeping it keeps the whole buffer (256 KiB) in memory, so copy what is kept. A throw ends `openWal` with that error.
   */
  readonly onRecord: (payload: Buffer) => void;
  /** Size in bytes at which a new segment is begun; default 64 MiB. */
  readonly segmentBytes?: number;
  /** How long written data may stay unsynced, in ms; default 100. */
  readonly syncIntervalMs?: number;
  /** Told in one sentence what replay had to repair (a torn tail); default: nobody. */
  readonly onRepair?: (text: string) => void;
  /** Called once when writing has failed for good (disk full, I/O error): from then on the log is read-only. */
  readonly onFailed?: (error: FailureError) => void;
  /** The three calls that touch the disk, to be replaced by tests of full and slow disks. */
  readonly disk?: Disk;
}

/** The calls that carry data to the disk, with Node's meaning: `writev` may write less than it was given. */
export interface Disk {
  writevSync(fd: number, buffers: readonly Buffer[], position: number): number;
  writev(fd: number, buffers: readonly Buffer[], position: number): Promise<number>;
  fdatasync(fd: number): Promise<void>;
}

/**
 * An append-only log of checksummed records in a directory of its own, for one process at a time. All state of the owner is what
 * its records say, replayed in order.
 */
export interface Wal {
  /**
   * Adds a record (1 byte to 1 GiB; parts are joined). Buffered: one write per event-loop turn. The bytes must not change until
   * `written()`. On a failed log it is dropped: `written` and `synced` reject. Throws (a bug) after `close`.
   */
  append(payload: Buffer | readonly Buffer[]): void;
  /** Resolves when everything appended so far went through write(): it survives kill -9, not a power cut. @throws FailureError */
  written(): Promise<void>;
  /** Resolves when everything appended so far is on the disk (fdatasync, shared by all who wait). @throws FailureError */
  synced(): Promise<void>;
  /**
   * Compaction: replaces everything appended before this call by `records`, which must describe the owner's state at this very
   * moment. They are drawn in slices with the event loop in between: iterate over a copy of what may change meanwhile. Appends go
   * on during it. One at a time (`compacting`). Rejects with FailureError when the disk is full; the log itself then stays usable
   * and complete.
   */
  snapshot(records: Iterable<Buffer | readonly Buffer[]>): Promise<void>;
  readonly compacting: boolean;
  /** Bytes on disk and in the buffer, overhead included; compare with the bytes that a snapshot would need. */
  readonly totalBytes: number;
  /** Set when the log is read-only since a write failed. */
  readonly failure: FailureError | null;
  /** Writes and syncs what is buffered, frees the directory. Resolves also on a failed log. */
  close(): Promise<void>;
}

/** True when more than half of a log of at least 8 MiB is dead: the time to call `snapshot`. */
export function compactionDue(wal: Pick<Wal, 'totalBytes' | 'compacting' | 'failure'>, liveBytes: number): boolean {
  return !wal.compacting && wal.failure === null && wal.totalBytes >= 8 * 1024 * 1024 && liveBytes * 2 < wal.totalBytes;
}

/**
 * Opens (or makes, 0700) the log in `dir`, replaying what it holds by streaming. A torn tail, as a crash leaves it, is cut off.
 * @throws FailureError `data-dir`: in use by a living process, not ours to write, written by a newer memt, or damaged before its
 * end (names file and offset; nothing is dropped); `disk-full`.
 */
export function openWal(dir: string, options: WalOptions): Promise<Wal> {
  return openLog(dir, options);
}
