import { linkSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { JournalRecord } from '../model/journal.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import { identityOf, isAlive } from './proc.js';

/** Writes the record atomically; the file is named after the instance. */
export function writeJournal(journalDir: string, record: JournalRecord): void {
  writeFileAtomic(join(journalDir, `${record.instance}.json`), JSON.stringify(record));
}

export function forgetJournal(journalDir: string, instance: string): void {
  rmSync(join(journalDir, `${instance}.json`), { force: true });
}

/**
 * Removes the instance's record if it is `isGone`'s; a successor's of the same name, written at the same moment, stays. Moving the file
 * aside is the one step that says which of the two it was.
 * @returns whether it was removed
 */
export function forgetJournalIf(
  journalDir: string,
  instance: string,
  isGone: (record: JournalRecord) => boolean,
): boolean {
  const file = join(journalDir, `${instance}.json`);
  const aside = `${file}.${process.pid}.gone`;
  try {
    renameSync(file, aside);
  } catch {
    return false; // nothing to forget
  }
  try {
    const record = parseRecord(aside);
    if (record === null || isGone(record)) return true;
    linkSync(aside, file);
    return false;
  } catch {
    return false; // it has been written anew meanwhile
  } finally {
    rmSync(aside, { force: true });
  }
}

function parseRecord(file: string): JournalRecord | null {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as { readonly schema?: unknown };
    return record.schema === 1 ? (record as JournalRecord) : null;
  } catch {
    return null; // gone, or torn by a full disk
  }
}

/** Every readable record; unreadable ones are skipped: they were torn by a full disk and name no process for sure. */
export function readJournal(journalDir: string): JournalRecord[] {
  let names: string[];
  try {
    names = readdirSync(journalDir).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
  return names.flatMap((name) => parseRecord(join(journalDir, name)) ?? []);
}

/** True while the very process of the record lives. */
export function recordAlive(record: JournalRecord): boolean {
  return record.pid !== null && isAlive({ pid: record.pid, startTime: record.startTime, bootId: record.bootId });
}

/** The record's process fields for a living pid. */
export function identityFields(pid: number): Pick<JournalRecord, 'pid' | 'startTime' | 'bootId'> {
  return identityOf(pid) ?? { pid, startTime: 0, bootId: '' };
}
