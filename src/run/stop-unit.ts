import { forgetJournal, forgetJournalIf, readJournal, recordAlive } from '../host/journal-file.js';
import { commandOf, identityOf, pidsWithEnv } from '../host/proc.js';
import { stopProcess, type StopOutcome } from '../host/stop.js';
import { FailureError } from '../model/failure.js';
import type { JournalRecord } from '../model/journal.js';
import { MEMT_ENV } from '../model/launch.js';
import type { Json } from '../model/record.js';
import type { ProcessManager } from '../ports/process-manager.js';
import { ENTRIES } from '../util/entries.js';
import type { Layout } from '../util/layout.js';
import { isStopped, PM2_DAEMON } from './helpers.js';
import { askChild, childStatus, identityIn, livingRecord, livingRecords } from './processes.js';

export interface StopOptions {
  readonly onProgress: (text: string) => void;
  /** Aborted = do not wait any longer: kill. */
  readonly hurry: AbortSignal;
}

/** How long a process may take to show that its event loop turns, ms. */
const ANSWER_MS = 2000;
/** Grace for a unit whose settings are not known any more, ms. */
export const DEFAULT_GRACE_MS = 30_000;
/** Grace for processes that nobody told us how to stop, ms. */
const STRAY_GRACE_MS = 10_000;

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
  records.forEach(wake);
  const drained = await Promise.all(
    heads.map(async (record) => {
      options.onProgress(`finishing what it has in hand (at most ${seconds(graceMs)})`);
      // One whose event loop hangs would not answer the drain either: its signal has the same grace again.
      const answers = options.hurry.aborted
        ? null
        : await unlessHurried(childStatus(layout, record.instance, ANSWER_MS), options.hurry);
      const report = answers
        ? await unlessHurried(askChild(layout, record.instance, 'drain', graceMs), options.hurry)
        : undefined;
      await removeFork(layout, manager, record.instance, graceMs, options);
      return report;
    }),
  );
  // Whatever PM2 did not know of, or left behind: instances of a killed primary, processes of a dead daemon.
  await Promise.all(records.map((record) => stopRecord(record, graceMs, options)));
  forgetDead(layout, (record) => record.unit === unit);
  const instances = records.filter((record) => record.role === 'web-instance').length;
  return drainSummary(
    drained,
    instances > 0
      ? `${instances} ${instances === 1 ? 'instance' : 'instances'}`
      : `${heads.length} ${heads.length === 1 ? 'process' : 'processes'}`,
  );
}

/** A process that somebody has stopped (SIGSTOP, Ctrl-Z) could neither drain nor see its signal. */
function wake(record: JournalRecord): void {
  if (record.pid === null || !isStopped(record.pid)) return;
  try {
    process.kill(record.pid, 'SIGCONT');
  } catch {
    // it ended in between
  }
}

/**
 * Has PM2 stop and forget a process. A daemon that cannot (it hangs), or may not be waited for, is killed: it must not start again what
 * is stopped by pid after this.
 */
export async function removeFork(
  layout: Layout,
  manager: ProcessManager | null,
  instance: string,
  graceMs: number,
  options: StopOptions,
): Promise<void> {
  if (!manager || !livingRecord(layout, PM2_DAEMON)) return;
  try {
    const removal = manager.remove(instance, graceMs).then(() => true);
    if (await unlessHurried(removal, options.hurry)) return;
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
    options.onProgress(`${error.failure.what}; stopping it by pid`);
  }
  await stopHelper(layout, PM2_DAEMON, 0, options);
}

/** The work's result, or undefined as soon as nobody may wait any longer. */
async function unlessHurried<T>(work: Promise<T>, hurry: AbortSignal): Promise<T | undefined> {
  if (hurry.aborted) {
    work.catch(() => undefined);
    return undefined;
  }
  let wake: () => void = () => undefined;
  const hurried = new Promise<undefined>((resolve) => {
    wake = () => resolve(undefined);
    hurry.addEventListener('abort', wake, { once: true });
  });
  try {
    return await Promise.race([work, hurried]);
  } finally {
    hurry.removeEventListener('abort', wake);
    work.catch(() => undefined);
  }
}

async function stopRecord(record: JournalRecord, graceMs: number, options: StopOptions): Promise<void> {
  if (record.pid === null || !recordAlive(record)) return;
  await stopProcess({
    identity: identityIn(record),
    signal: 'SIGTERM',
    graceMs: options.hurry.aborted ? 0 : graceMs,
    hurry: options.hurry,
  });
}

function drainSummary(reports: readonly (Json | undefined)[], what: string): string {
  const sum = (key: string): number =>
    reports.reduce<number>((total, report) => {
      const value =
        typeof report === 'object' && report !== null && !Array.isArray(report)
          ? (report as Record<string, Json>)[key]
          : 0;
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

/** Forgets the dead that match; PM2 may start one of them again at any moment. @returns how many */
export function forgetDead(layout: Layout, matches: (record: JournalRecord) => boolean = () => true): number {
  const dead = readJournal(layout.journalDir).filter((record) => matches(record) && !recordAlive(record));
  return dead.filter(({ instance }) => forgetJournalIf(layout.journalDir, instance, (record) => !recordAlive(record)))
    .length;
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
    identity: identityIn(record),
    signal: stop.signal,
    graceMs: options.hurry.aborted ? 0 : stop.graceMs,
    hurry: options.hurry,
  });
  forgetJournal(layout.journalDir, unit);
  return outcome;
}

/** Stops one helper process of memt's own by its journal record (keeper, PM2's daemon). */
export async function stopHelper(
  layout: Layout,
  instance: string,
  graceMs: number,
  options: StopOptions,
): Promise<void> {
  const record = livingRecords(layout).find((candidate) => candidate.instance === instance);
  if (record) await stopRecord(record, graceMs, options);
  forgetJournal(layout.journalDir, instance);
}

/**
 * Stops every process that still carries this project's mark: epmd, children that an application left behind, processes whose records
 * were lost. In the order in which they are recorded nowhere: first who would start the others again, then who uses the engines, then
 * the rest. Our own process and its ancestors do not carry the mark.
 * @returns how many there were
 */
export async function sweepStrays(
  layout: Layout,
  options: StopOptions,
  spare: (pid: number) => boolean = () => false,
): Promise<number> {
  let stopped = 0;
  for (const wave of [isSupervisor, usesEngines, () => true]) {
    const strays = pidsWithEnv(MEMT_ENV.runDir, layout.runDir)
      .filter((pid) => pid !== process.pid && !spare(pid) && wave(pid))
      .flatMap((pid) => identityOf(pid) ?? []);
    // PM2's daemon would take its time to stop its processes all at once; killed, it leaves them to the next wave.
    const graceMs = wave === isSupervisor || options.hurry.aborted ? 0 : STRAY_GRACE_MS;
    await Promise.all(
      strays.map((identity) =>
        stopProcess({
          identity,
          signal: 'SIGTERM',
          graceMs,
          hurry: options.hurry,
          onWait: () => options.onProgress(`waiting for pid ${identity.pid}, whose record is lost`),
        }),
      ),
    );
    stopped += strays.length;
  }
  return stopped;
}

/** By their titles: PM2 gives its daemon one, and its forks that of their script. */
function isSupervisor(pid: number): boolean {
  const command = commandOf(pid);
  return command.startsWith('PM2 ') || command.includes(ENTRIES.keeper);
}

function usesEngines(pid: number): boolean {
  const command = commandOf(pid);
  return command.includes(ENTRIES.web) || command.includes(ENTRIES.worker);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
