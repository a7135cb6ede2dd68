import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandOf, identityOf, isAlive, type ProcessIdentity } from '../host/proc.js';
import { FailureError } from '../model/failure.js';
import { codeOf } from '../util/errors.js';

const ATTEMPTS = 20;

/** Makes this process the one owner of `dir`, taking over from a dead one. Returns how to give it up. @throws FailureError */
export function lockDirectory(dir: string): () => void {
  const file = join(dir, 'lock');
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(identityOf(process.pid)), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      try {
        // link() puts the whole content in place in one step and fails when the name exists.
        linkSync(mine, file);
        return () => rmSync(file, { force: true });
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const owner = ownerOf(file);
      if (owner !== undefined && isAlive(owner)) throw inUse(dir, owner);
      removeStale(file);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  throw new FailureError({ kind: 'data-dir', what: `${dir}: its lock file changes hands again and again` });
}

function ownerOf(file: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity | null;
    return typeof value?.pid === 'number' ? value : undefined;
  } catch {
    return undefined; // gone, or torn by a full disk: nobody who lives
  }
}

/** Moved aside and looked at again: another process may have taken the dead one's place just now. */
function removeStale(file: string): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  const owner = ownerOf(aside);
  if (owner !== undefined && isAlive(owner)) linkSync(aside, file);
  rmSync(aside, { force: true });
}

function inUse(dir: string, owner: ProcessIdentity): FailureError {
  return new FailureError({
    kind: 'data-dir',
    what: `${dir} is in use by pid ${owner.pid} (${commandOf(owner.pid) || 'unknown command'})`,
    mend: 'Stop that process, or configure another data folder',
  });
}
