import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { codeOf } from '../util/errors.js';

export interface WriterOptions {
  readonly file: string;
  /** Size at which the file is rotated, bytes. Default 50 MiB. */
  readonly maxBytes?: number;
  /** Rotated files kept: `<file>.1` (newest) … Default 3. */
  readonly keep?: number;
  /** Told once per bout of trouble that lines are being dropped, with the code (`ENOSPC`). */
  readonly onTrouble?: (code: string) => void;
}

/** Appends lines to a file of its own; rotates; never throws. */
export interface LineWriter {
  /** Writes one line (without its newline). False when it was dropped. */
  write(line: string): boolean;
  /** Lines dropped since the last one that was written. */
  readonly dropped: number;
  close(): void;
}

const DEFAULT_MAX_BYTES = 50 * 1024 * 1024;
const DEFAULT_KEEP = 3;
/** How often the writer looks whether the path still is its file, and how long it waits before it tries to open again, ms. */
const LOOK_EVERY_MS = 1000;

/**
 * A writer that appends synchronously: an append to the page cache costs microseconds, and whatever ends the process afterwards,
 * SIGKILL included, the line is in the file.
 */
export function lineWriter(options: WriterOptions): LineWriter {
  const { file, maxBytes = DEFAULT_MAX_BYTES, keep = DEFAULT_KEEP, onTrouble } = options;
  let fd: number | undefined;
  let size = 0;
  let lookedAt = -Infinity;
  let dropped = 0;
  let torn = false;

  const close = (): void => {
    if (fd === undefined) return;
    try {
      closeSync(fd);
    } catch {
      // someone closed our descriptor: it is gone, which is what we want
    }
    fd = undefined;
  };
  const open = (): void => {
    fd = openFile(file);
    size = fstatSync(fd).size;
  };
  /** Another process of the same instance may have rotated, or someone deleted the file: follow the path. */
  const look = (now: number): void => {
    lookedAt = now;
    if (fd !== undefined && sameFile(fd, file)) return;
    close();
    open();
  };
  const rotateNow = (): void => {
    if (fd !== undefined && sameFile(fd, file)) {
      shiftRotated(file, keep);
      renameSync(file, `${file}.1`);
    }
    close();
    open();
  };
  const append = (line: string): void => {
    const now = performance.now();
    if (now - lookedAt > LOOK_EVERY_MS) look(now);
    if (fd === undefined) throw Object.assign(new Error('not open'), { code: 'EBADF' });
    if (size >= maxBytes) rotateNow();
    // A line cut by a full disk must not swallow the next one.
    const bytes = Buffer.from(torn ? `\n${line}\n` : `${line}\n`);
    const written = writeSync(fd, bytes);
    size += written;
    torn = written < bytes.length || (torn && written === 0);
    if (written < bytes.length) throw Object.assign(new Error('short write'), { code: 'ENOSPC' });
  };

  try {
    look(performance.now());
  } catch (error) {
    onTrouble?.(codeOf(error) ?? 'unknown');
  }
  return {
    write(line) {
      try {
        append(line);
        dropped = 0;
        return true;
      } catch (error) {
        dropped += 1;
        if (codeOf(error) === 'EBADF') {
          close();
          lookedAt = dropped === 1 ? -Infinity : lookedAt;
        }
        if (dropped === 1) onTrouble?.(codeOf(error) ?? 'unknown');
        return false;
      }
    },
    get dropped() {
      return dropped;
    },
    close,
  };
}

function openFile(file: string): number {
  try {
    return openSync(file, 'a', 0o600);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    return openSync(file, 'a', 0o600);
  }
}

function sameFile(fd: number, file: string): boolean {
  try {
    const open = fstatSync(fd);
    const named = statSync(file);
    return open.ino === named.ino && open.dev === named.dev;
  } catch {
    return false;
  }
}

/** Makes room for a new `<file>.1`: `.1` becomes `.2` …; what would go beyond `keep` is deleted. */
export function shiftRotated(file: string, keep: number): void {
  rmSync(`${file}.${keep}`, { force: true });
  for (let index = keep - 1; index >= 1; index -= 1) {
    if (existsSync(`${file}.${index}`)) renameSync(`${file}.${index}`, `${file}.${index + 1}`);
  }
}
