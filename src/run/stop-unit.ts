import { forgetJournal, readJournal, recordAlive } from '../host/journal-file.js';
import { identityOf, pidsWithEnv, type ProcessIdentity } from '../host/proc.js';
import { stopProcess, type StopOutcome } from '../host/stop.js';
import type { JournalRecord } from '../model/journal.js';
import { MEMT_ENV } from '../model/launch.js';
import type { Json } from '../model/record.js';
import type { ProcessManager } from '../ports/process-manager.js';
import type { Layout } from '../util/layout.js';
import { askChild, livingRecords } from './processes.js';

export interface StopOptions {
  readonly onProgress: (text: string) => void;
  /** Aborted = do not wait any longer: kill. */
  readonly hurry: AbortSignal;
}

/** Grace for processes that nobody told us how to stop, ms. */
const STRAY_GRACE_MS = 2000;

/**
 * Drains and stops the processes that PM2 forked for a unit; works without PM2's daemon as well, and on what it has lost.
 * @returns what the drain reported, for display: `3 finished, 1 returned`
 */
export async function stopFork(
  layout: Layout,
  manager: ProcessManager | null,
  unit: string,
  graceMs: number,
  options: StopOptions,
): Promise<string> {
  const records = livingRecords(layout).filter((record) => record.unit === unit);
  const heads = records.filter((record) => record.role !== 'web-instance');
  const drained = await Promise.all(
    heads.map(async (record) => {
      options.onProgress(`finishing what it has in hand (at most ${seconds(graceMs)})`);
      const report = options.hurry.aborted ? undefined : await askChild(layout, record.instance, 'drain', graceMs);
      await manager?.remove(record.instance, options.hurry.aborted ? 1 : graceMs);
      return report;
    }),
  );
  // Whatever PM2 did not know of, or left behind: instances of a killed primary, processes of a dead daemon.
  await Promise.all(records.map((record) => stopRecord(record, graceMs, options)));
  for (const record of readJournal(layout.journalDir)) {
    if (record.unit === unit && !recordAlive(record)) forgetJournal(layout.journalDir, record.instance);
  }
  const instances = records.filter((record) => record.role === 'web-instance').length;
  return drainSummary(drained, instances > 0 ? `${instances} ${instances === 1 ? 'instance' : 'instances'}` : `${heads.length} ${heads.length === 1 ? 'process' : 'processes'}`);
}

async function stopRecord(record: JournalRecord, graceMs: number, options: StopOptions): Promise<void> {
  if (record.pid === null || !recordAlive(record)) return;
  await stopProcess({
    identity: identityOfRecord(record),
    signal: 'SIGTERM',
    graceMs: options.hurry.aborted ? 0 : graceMs,
    hurry: options.hurry,
  });
}

function identityOfRecord(record: JournalRecord): ProcessIdentity {
  return { pid: record.pid ?? 0, startTime: record.startTime, bootId: record.bootId };
}

function drainSummary(reports: readonly (Json | undefined)[], what: string): string {
  const sum = (key: string): number =>
    reports.reduce<number>((total, report) => {
      const value = typeof report === 'object' && report !== null && !Array.isArray(report) ? (report as Record<string, Json>)[key] : 0;
      return total + (typeof value === 'number' ? value : 0);
    }, 0);
  const parts = [
    `${what} drained`,
    ...(sum('finished') > 0 ? [`${sum('finished')} finished`] : []),
    ...(sum('returned') > 0 ? [`${sum('returned')} returned to their queue`] : []),
    ...(sum('cut') > 0 ? [`${sum('cut')} cut off at the deadline`] : []),
  ];
  return parts.join(', ');
}

/** Asks an engine of ours to stop cleanly, and kills it at the deadline. */
export async function stopEngine(
  layout: Layout,
  unit: 'mongodb' | 'rabbitmq',
  stop: { readonly signal: NodeJS.Signals; readonly graceMs: number },
  options: StopOptions,
): Promise<StopOutcome> {
  const record = livingRecords(layout).find((candidate) => candidate.instance === unit);
  if (!record) {
    forgetJournal(layout.journalDir, unit);
    return 'gone';
  }
  const outcome = await stopProcess({
    identity: identityOfRecord(record),
    signal: stop.signal,
    graceMs: options.hurry.aborted ? 0 : stop.graceMs,
    hurry: options.hurry,
  });
  forgetJournal(layout.journalDir, unit);
  return outcome;
}

/** Stops one helper process of memt's own by its journal record (keeper, PM2's daemon). */
export async function stopHelper(layout: Layout, instance: string, graceMs: number, options: StopOptions): Promise<void> {
  const record = livingRecords(layout).find((candidate) => candidate.instance === instance);
  if (record) await stopRecord(record, graceMs, options);
  forgetJournal(layout.journalDir, instance);
}

/**
 * Stops every process that still carries this project's mark: epmd, children that an application left behind, a process
 * whose record was lost. Our own process and its ancestors do not carry it.
 * @returns how many there were
 */
export async function sweepStrays(layout: Layout, options: StopOptions, spare: (pid: number) => boolean = () => false): Promise<number> {
  const strays = pidsWithEnv(MEMT_ENV.runDir, layout.runDir)
    .filter((pid) => pid !== process.pid && !spare(pid))
    .flatMap((pid) => identityOf(pid) ?? []);
  await Promise.all(
    strays.map((identity) => stopProcess({ identity, signal: 'SIGTERM', graceMs: options.hurry.aborted ? 0 : STRAY_GRACE_MS, hurry: options.hurry })),
  );
  return strays.length;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
