import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import type { Failure } from '../model/failure.js';
import { codeOf } from '../util/errors.js';

/** An engine's data directory as it is wanted. */
export interface DataDir {
  readonly unit: string;
  readonly path: string;
  /** A configured one must exist: a typing error must not become an empty database. */
  readonly configured: boolean;
  /** The setting that names it, for the mend: `mongodb.dbpath`. */
  readonly setting: string;
}

/** Makes the default directory (0700), and says what is wrong with any. null = it is there and ours to write. */
export function checkDataDir(dir: DataDir): Failure | null {
  const { unit, path } = dir;
  try {
    if (!dir.configured) mkdirSync(path, { recursive: true, mode: 0o700 });
    const stat = statSync(path);
    if (!stat.isDirectory()) {
      return {
        kind: 'data-dir',
        unit,
        what: `${path} is not a folder`,
        mend: `Move the file away, or set ${dir.setting} to a folder`,
      };
    }
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return failureOf(dir, codeOf(error) ?? String(error));
  }
}

function failureOf({ unit, path, setting, configured }: DataDir, code: string): Failure {
  const mine = `${process.geteuid?.() ?? '?'}:${process.getegid?.() ?? '?'}`;
  switch (code) {
    case 'ENOENT':
      return {
        kind: 'data-dir',
        unit,
        what: `${path} does not exist`,
        cause: configured
          ? `${setting} names it; memt makes only its own default folder, so that a typing error is not taken for an empty database`
          : 'A folder above it is gone',
        mend: `mkdir -p ${quote(path)}`,
      };
    case 'EACCES':
    case 'EPERM': {
      const seen = ownership(path);
      return {
        kind: 'data-dir',
        unit,
        what: `${path} is not writable for user ${mine}${seen}`,
        mend: `sudo chown -R ${mine} ${quote(path)}, or set ${setting} to a folder of yours`,
      };
    }
    case 'EROFS':
      return {
        kind: 'data-dir',
        unit,
        what: `${path} is on a read-only file system`,
        mend: `Set ${setting} to a folder that can be written`,
      };
    case 'ENOSPC':
    case 'EDQUOT':
      return {
        kind: 'disk-full',
        unit,
        what: `cannot make ${path}: the disk is full`,
        mend: 'Free some space, then start again',
      };
    default:
      return {
        kind: 'data-dir',
        unit,
        what: `cannot use ${path}: ${code}`,
        mend: `Set ${setting} to a folder of yours`,
      };
  }
}

function ownership(path: string): string {
  try {
    const { uid, gid, mode } = statSync(path);
    return ` (owner ${uid}:${gid}, mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`;
  } catch {
    return ' (a folder above it cannot be entered)';
  }
}

function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
