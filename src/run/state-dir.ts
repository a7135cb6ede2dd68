import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Failure } from '../model/failure.js';
import { fail, ok, type Result } from '../model/result.js';
import { codeOf } from '../util/errors.js';
import type { Layout } from '../util/layout.js';

/** Makes every state folder of the project (0700), and refuses folders that are links or somebody else's. */
export function prepareStateDir(layout: Layout): Result<void> {
  const folders = [
    layout.stateDir,
    layout.runDir,
    layout.journalDir,
    layout.launchDir,
    layout.gateDir,
    layout.logDir,
    layout.dataDir,
    ...(layout.socketDir.startsWith(layout.runDir)
      ? []
      : [dirname(dirname(layout.socketDir)), dirname(layout.socketDir)]),
    layout.socketDir,
    layout.pm2Home,
  ];
  for (const folder of folders) {
    const failure = ensureFolder(folder);
    if (failure) return fail(failure);
  }
  try {
    writeFileSync(join(layout.stateDir, '.gitignore'), '*\n', { mode: 0o600 });
  } catch (error) {
    return fail(writeFailure(layout.stateDir, error));
  }
  return ok(undefined);
}

function ensureFolder(folder: string): Failure | null {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') return writeFailure(folder, error);
  }
  const stat = lstatSync(folder);
  const uid = process.getuid?.() ?? stat.uid;
  if (!stat.isDirectory() || stat.uid !== uid) {
    return {
      kind: 'project-unwritable',
      what: `${folder} ${stat.isDirectory() ? `belongs to user ${stat.uid}, not to you (${uid})` : 'is not a folder'}`,
      cause: stat.isSymbolicLink()
        ? 'It is a symbolic link, which memt does not follow'
        : 'Another user started a stack in this project',
      mend: `rm -r ${folder} (or ask its owner), then start again`,
    };
  }
  return null;
}

/** The failure of a write into the project's state. */
export function writeFailure(path: string, error: unknown): Failure {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return {
        kind: 'disk-full',
        what: `cannot write ${path}: the disk is full`,
        mend: 'Free some space (memt keeps logs and data in .memt), then start again',
      };
    case 'EROFS':
      return {
        kind: 'project-unwritable',
        what: `cannot write ${path}: the file system is read-only`,
        mend: 'Copy the project to a place that you may write to',
      };
    case 'EACCES':
    case 'EPERM':
      return {
        kind: 'project-unwritable',
        what: `cannot write ${path}: permission denied`,
        mend: `Make the project's folder writable for you: chown -R $(id -un) ${dirname(path)}`,
      };
    case undefined:
    default:
      return {
        kind: 'project-unwritable',
        what: `cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`,
      };
  }
}

/** Removes what a stopped stack leaves in its run folder and the short runtime folder; logs and data stay. */
export function clearRunDir(layout: Layout): void {
  const targets = [layout.runDir, ...(layout.socketDir.startsWith(layout.runDir) ? [] : [dirname(layout.socketDir)])];
  for (const target of targets) rmSync(target, { recursive: true, force: true });
}
