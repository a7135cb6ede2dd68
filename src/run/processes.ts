import { ask } from '../control/client.js';
import { readJournal, recordAlive } from '../host/journal-file.js';
import type { ProcessIdentity } from '../host/proc.js';
import type { JournalRecord } from '../model/journal.js';
import type { Json } from '../model/record.js';
import type { ChildStatus } from '../model/status.js';
import type { Layout } from '../util/layout.js';
import { join } from 'node:path';

/** The journal's records of living processes. */
export function livingRecords(layout: Layout): JournalRecord[] {
  return readJournal(layout.journalDir).filter(recordAlive);
}

/** The living record of one instance. */
export function livingRecord(layout: Layout, instance: string): JournalRecord | undefined {
  return livingRecords(layout).find((record) => record.instance === instance);
}

/** The process that the record names. */
export function identityIn(record: JournalRecord): ProcessIdentity {
  return { pid: record.pid ?? 0, startTime: record.startTime, bootId: record.bootId };
}

export function controlSocket(layout: Layout, instance: string): string {
  return join(layout.socketDir, `${instance}.sock`);
}

/** What a forked process says of itself; null when it does not answer. */
export async function childStatus(layout: Layout, instance: string, timeoutMs = 1000): Promise<ChildStatus | null> {
  const answer = await ask(controlSocket(layout, instance), 'status', {}, timeoutMs);
  // The other end is our own code of the same version, or answers nothing that parses.
  return answer.kind === 'answer' ? (answer.value as unknown as ChildStatus) : null;
}

/** Asks a forked process to do something; undefined when it is absent, silent or refuses. */
export async function askChild(
  layout: Layout,
  instance: string,
  op: string,
  timeoutMs: number,
): Promise<Json | undefined> {
  const answer = await ask(controlSocket(layout, instance), op, {}, timeoutMs);
  return answer.kind === 'answer' ? answer.value : undefined;
}
