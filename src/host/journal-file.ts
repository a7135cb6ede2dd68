import { readFileSync, readdirSync, rmSync } from 'node:fs';
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

/** Every readable record; unreadable ones are skipped: they were torn by a full disk and name no process for sure. */
export function readJournal(journalDir: string): JournalRecord[] {
  let names: string[];
  try {
    names = readdirSync(journalDir).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    try {
      const record = JSON.parse(readFileSync(join(journalDir, name), 'utf8')) as JournalRecord;
      return record.schema === 1 ? [record] : [];
    } catch {
      return [];
    }
  });
}

/** True while the very process of the record lives. */
export function recordAlive(record: JournalRecord): boolean {
  return record.pid !== null && isAlive({ pid: record.pid, startTime: record.startTime, bootId: record.bootId });
}

/** The record's process fields for a living pid. */
export function identityFields(pid: number): Pick<JournalRecord, 'pid' | 'startTime' | 'bootId'> {
  return identityOf(pid) ?? { pid, startTime: 0, bootId: '' };
}
