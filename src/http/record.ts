import { forgetJournalIf, identityFields, readJournal, recordAlive, writeJournal } from '../host/journal-file.js';
import type { Launch } from '../model/launch.js';
import type { WebSettings } from '../model/settings.js';
import type { Layout } from '../util/layout.js';

/** Puts the instance into the journal, over a predecessor of the same name. */
export function recordInstance(layout: Layout, launch: Launch, instance: string, pid: number): void {
  writeJournal(layout.journalDir, {
    schema: 1,
    unit: launch.unit,
    instance,
    role: 'web-instance',
    ...identityFields(pid),
    at: Date.now(),
    command: `${launch.unit} instance ${instance}`,
    ports: [(launch.settings as WebSettings).port],
    settingsDigest: launch.settingsDigest,
  });
}

/** Takes the process's record out of the journal, unless a successor has the name by now. @returns whether it was there */
export function forgetInstance(layout: Layout, instance: string, pid: number): boolean {
  return forgetJournalIf(layout.journalDir, instance, (record) => record.pid === pid);
}

/** Lets a replacement take the name for a while: gives the function that puts the old record back if its process still lives. */
export function keepRecord(layout: Layout, instance: string): () => void {
  const record = readJournal(layout.journalDir).find((one) => one.instance === instance);
  return () => {
    if (record && recordAlive(record)) writeJournal(layout.journalDir, record);
  };
}
