import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { gateFile } from '../util/layout.js';
import { describeHolder, holderOf } from '../host/ports.js';
import { uptimeMs } from '../host/proc.js';
import { recentErrors } from '../logs/recent.js';
import { FailureError, type Failure } from '../model/failure.js';
import { MEMT_ENV } from '../model/launch.js';
import type { Settings } from '../model/settings.js';
import type { ChildStatus } from '../model/status.js';
import type { Step } from '../plan/step.js';
import type { ForkSpec, ManagedProcess, ProcessManager } from '../ports/process-manager.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import { sleep } from '../util/deadline.js';
import { ENTRIES } from '../util/entries.js';
import type { Layout } from '../util/layout.js';
import { readTail } from './log-tail.js';
import { writeLaunchFile } from './launch-file.js';
import { childStatus, livingRecord } from './processes.js';
import { settingsDigests } from './stack-file.js';

/** How long every pid must stay the same before "healthy" is believed, ms. */
const STABLE_MS = 300;
/** A process this old has been stable, ms. */
const SETTLED_MS = 5000;
/** Restarts by PM2 after which a process that never answered is given up. */
const GIVE_UP_RESTARTS = 3;
/** PM2's SIGKILL comes this much after the process's own graceful timeout. */
const KILL_SLACK_MS = 2000;

export interface EngineUris {
  readonly mongodb: string | null;
  readonly rabbitmq: string | null;
}

/** Settings of a forked unit as its process gets them. */
function unitSettings(settings: Settings, unit: string): { readonly gracefulTimeoutMs: number } {
  // Not part of the settings' digest: another `--timeout` must not restart what runs.
  const web = settings.web && { ...settings.web, bootTimeoutMs: settings.timeouts.instanceMs };
  const found = settings.workers.find((worker) => worker.name === unit) ?? web;
  if (!found) throw new Error(`${unit} is not in the settings`);
  return found;
}

/** True when the settings have this unit and PM2 forks it. */
export function isUnitOf(settings: Settings, unit: string): boolean {
  return unit === 'web' ? settings.web !== null : settings.workers.some((worker) => worker.name === unit);
}

/** How long PM2 waits between SIGINT and SIGKILL for this unit, ms. */
export function forkGraceMs(settings: Settings, unit: string): number {
  return unitSettings(settings, unit).gracefulTimeoutMs + KILL_SLACK_MS;
}

export function forkSpecOf(layout: Layout, settings: Settings, unit: string, instance: string): ForkSpec {
  return {
    name: instance,
    script: settings.workers.some((worker) => worker.name === unit) ? ENTRIES.worker : ENTRIES.web,
    cwd: layout.root,
    env: {
      [MEMT_ENV.runDir]: layout.runDir,
      [MEMT_ENV.launch]: join(layout.launchDir, `${unit}.json`),
      [MEMT_ENV.instance]: instance,
    },
    outFile: join(layout.logDir, `${instance}.out`),
    errorFile: join(layout.logDir, `${instance}.err`),
    graceMs: forkGraceMs(settings, unit),
    nodeArgs: [],
  };
}

/** Forks the step's processes. They warm up and then wait at the gate: nothing of the application is imported yet. */
export async function forkUnit(
  manager: ProcessManager,
  layout: Layout,
  settings: Settings,
  step: Step,
  uris: EngineUris,
  instances: readonly string[],
): Promise<void> {
  const digest = settingsDigests(settings)[step.unit] ?? '';
  writeLaunchFile(layout, settings, step.unit, unitSettings(settings, step.unit), digest, uris);
  await Promise.all(instances.map((instance) => manager.fork(forkSpecOf(layout, settings, step.unit, instance))));
}

/** Makes the processes that are forked for the unit from now on what they were with these settings. */
export function restoreUnit(layout: Layout, settings: Settings, unit: string, uris: EngineUris): void {
  writeLaunchFile(layout, settings, unit, unitSettings(settings, unit), settingsDigests(settings)[unit] ?? '', uris);
  openGate(layout, unit);
}

/** Lets the unit's processes import their application, now and at every later restart. */
export function openGate(layout: Layout, unit: string): void {
  writeFileAtomic(gateFile(layout, unit), '');
}

export function closeGate(layout: Layout, unit: string): void {
  rmSync(gateFile(layout, unit), { force: true });
}

export interface ProvenFork {
  readonly statuses: readonly ChildStatus[];
}

/**
 * Waits until every process of the unit is healthy by its own word and keeps its pids for 300 ms.
 * @throws FailureError with the unit's own failure, or unit-exited / unit-timeout; the signal's reason when aborted
 */
export async function waitFork(
  manager: () => Promise<readonly ManagedProcess[]>,
  layout: Layout,
  settings: Settings,
  step: Step,
  options: {
    readonly signal: AbortSignal;
    readonly onProgress: (text: string) => void;
    /** Unix ms: error lines from before are another run's. */
    readonly sinceMs: number;
  },
): Promise<ProvenFork> {
  const started = performance.now();
  let stableSince = 0;
  let stablePids = '';
  const restartsBefore = new Map<string, number>();
  let nextManagerLook = started + 250;
  for (;;) {
    options.signal.throwIfAborted();
    const statuses = await Promise.all(step.instances.map((instance) => childStatus(layout, instance)));
    const failed = statuses.find((status) => status?.failure != null)?.failure;
    if (failed)
      throw new FailureError(
        withEvidence(layout, step, options.sinceMs, explainPort(settings, { ...failed, unit: step.unit })),
      );
    const now = performance.now();
    if (statuses.every((status) => status?.state === 'healthy')) {
      const all = pidsOf(layout, step, statuses);
      const pids = all.join(',');
      if (pids !== stablePids) [stablePids, stableSince] = [pids, now];
      // Processes that have lived for long need no window: they have had it.
      const settled = all.every((pid) => pid !== null && uptimeMs(pid) > SETTLED_MS);
      if (settled || now - stableSince >= STABLE_MS) return { statuses: statuses.filter((status) => status !== null) };
    } else {
      stablePids = '';
    }
    if (now >= nextManagerLook) {
      nextManagerLook = now + 250;
      const managed = (await manager()).filter((one) => step.instances.includes(one.name));
      for (const one of managed) if (!restartsBefore.has(one.name)) restartsBefore.set(one.name, one.restarts);
      const dying = managed.find((one) => gaveUp(one, restartsBefore.get(one.name) ?? 0));
      if (dying) throw new FailureError(exitedFailure(layout, step, options.sinceMs, dying));
    }
    if (now - started > settings.timeouts.instanceMs)
      throw new FailureError(timeoutFailure(layout, step, options.sinceMs, statuses, now - started));
    options.onProgress(progressOf(step, statuses));
    await sleep(25, options.signal);
  }
}

/** @param before PM2 counts over a process's whole life: what it was at the first look is another story */
function gaveUp(one: ManagedProcess, before: number): boolean {
  return one.state === 'errored' || one.restarts - before >= GIVE_UP_RESTARTS;
}

function pidsOf(layout: Layout, step: Step, statuses: readonly (ChildStatus | null)[]): (number | null)[] {
  const own = step.instances.map((instance) => livingRecord(layout, instance)?.pid ?? null);
  const below = statuses.flatMap((status) => status?.instances.map((instance) => instance.pid) ?? []);
  return [...own, ...below];
}

/** `2/5 answering`: how far a unit has come. */
export function progressOf(step: Step, statuses: readonly (ChildStatus | null)[]): string {
  const states = statuses.flatMap((status) =>
    status?.instances.length ? status.instances.map((one) => one.state) : [status?.state],
  );
  const healthy = states.filter((state) => state === 'healthy').length;
  return `${healthy}/${states.length} ${step.kind === 'worker' ? 'consuming' : 'answering'}`;
}

function explainPort(settings: Settings, failure: Failure): Failure {
  if (failure.kind !== 'port-taken' || !settings.web) return failure;
  const { host, port } = settings.web;
  const holder = holderOf(port, host);
  return {
    ...failure,
    what: `${host}:${port} is held by ${holder ? describeHolder(holder) : 'a process that cannot be seen'}`,
    mend: `Stop it, or: memt up --port ${port + 1}`,
  };
}

function withEvidence(layout: Layout, step: Step, sinceMs: number, failure: Failure): Failure {
  return failure.evidence?.length ? failure : { ...failure, evidence: errorLines(layout, step, sinceMs) };
}

function errorLines(layout: Layout, step: Step, sinceMs: number): string[] {
  const records = recentErrors(layout.logDir, step.unit, { lines: 5, sinceMs });
  if (records.length > 0) return records.map((record) => record.text);
  return step.instances.flatMap((instance) => readTail(join(layout.logDir, `${instance}.err`), 5)).slice(-5);
}

function exitedFailure(layout: Layout, step: Step, sinceMs: number, dying: ManagedProcess): Failure {
  return {
    kind: 'unit-exited',
    unit: step.unit,
    what: `${dying.name} exited${dying.exitCode === null ? '' : ` with code ${dying.exitCode}`} ${dying.restarts + 1} times while starting`,
    mend: `Look with: memt logs ${step.unit} --level error`,
    evidence: errorLines(layout, step, sinceMs),
  };
}

function timeoutFailure(
  layout: Layout,
  step: Step,
  sinceMs: number,
  statuses: readonly (ChildStatus | null)[],
  ms: number,
): Failure {
  const reasons = new Set(
    statuses.map((status) => (status === null ? 'no answer on its control socket' : status.reason)),
  );
  const why = [...reasons].filter((reason) => reason !== null).join('; ');
  return {
    kind: 'unit-timeout',
    unit: step.unit,
    what: `${progressOf(step, statuses)} after ${(ms / 1000).toFixed(0)} s${why ? `: ${why}` : ''}`,
    mend: `Look with: memt logs ${step.unit}. An application that needs longer to start: memt up --timeout 120s`,
    evidence: errorLines(layout, step, sinceMs),
  };
}
