import { existsSync } from 'node:fs';
import { FailureError } from '../model/failure.js';
import type { Logger } from '../logs/capture.js';
import type { Settings } from '../model/settings.js';
import type { Step } from '../plan/step.js';
import type { ProcessManager } from '../ports/process-manager.js';
import { asError } from '../util/errors.js';
import { sleep } from '../util/deadline.js';
import type { RunContext } from './context.js';
import { engineUnit, startEngine } from './engines.js';
import { forkSpecOf } from './forks.js';
import { connectManager, keeperSpec, PM2_DAEMON } from './helpers.js';
import { writeHealth } from './health.js';
import { acquireLock } from './lock.js';
import { livingRecord, livingRecords } from './processes.js';
import { report, type UnitNote } from './report.js';
import { readStackFile, type StackFile, type StackUnit } from './stack-file.js';
import { stopEngine } from './stop-unit.js';

const TICK_MS = 1000;
const PROBE_MS = 1500;
/** How long PM2 gets to bring a dead process back before the keeper looks into it, ms. */
const PM2_TURN_MS = 1500;
const BACKOFF_MS = [0, 1000, 2000, 5000, 15_000, 30_000];
/** An engine that lived this long starts again without backoff, ms. */
const SETTLED_MS = 60_000;

/** Attempts to bring one engine or process back. */
interface Attempt {
  count: number;
  /** performance.now() of the next try. */
  next: number;
  reason: string | null;
  restarts: number;
  deadSince: number | null;
  lastPid: number | null;
}

/**
 * Guards what PM2 cannot: engines, PM2's own daemon, and processes that a dead daemon has lost. Publishes health every second.
 * It acts only under the project lock, so it never gets in the way of a verb.
 */
export class Keeper {
  readonly #attempts = new Map<string, Attempt>();

  constructor(
    readonly context: RunContext,
    readonly log: Logger,
  ) {}

  /** Runs until aborted, until the state folder is gone, or until a new keeper has been forked under a new daemon. */
  async run(signal: AbortSignal): Promise<void> {
    const { layout } = this.context;
    while (!signal.aborted && existsSync(layout.journalDir)) {
      const stack = readStackFile(layout);
      if (stack) {
        await this.#publish(stack);
        if (stack.phase === 'up' && (await this.#repair(stack, signal)) === 'handed-over') return;
      }
      await sleep(TICK_MS, signal).catch(() => undefined);
    }
  }

  async #publish(stack: StackFile): Promise<void> {
    const { layout, registry } = this.context;
    const notes = new Map<string, UnitNote>([...this.#attempts].map(([name, attempt]) => [name, { restarts: attempt.restarts, reason: attempt.reason }]));
    const now = await report(stack, layout, registry, { probeTimeoutMs: PROBE_MS, notes });
    if (existsSync(layout.journalDir)) writeHealth(layout, { at: Date.now(), keeperPid: process.pid, report: now });
  }

  async #repair(stack: StackFile, signal: AbortSignal): Promise<'done' | 'handed-over'> {
    const work = this.#due(stack);
    if (work.length === 0) return 'done';
    const cancel = new AbortController();
    const give = AbortSignal.any([signal, cancel.signal]);
    // A verb that asks for the lock gets it: a half-started engine is stopped again.
    const got = await acquireLock({ name: this.context.layout.lockName, verb: 'keeper', waitMs: 0, signal, onCancel: () => cancel.abort() });
    if (got.kind !== 'held') return 'done';
    try {
      // A verb may have changed the world while we waited for the lock.
      const current = readStackFile(this.context.layout);
      if (current?.phase !== 'up') return 'done';
      const daemonDied = !livingRecord(this.context.layout, PM2_DAEMON);
      for (const unit of work) if (!give.aborted) await this.#bringBack(current, unit, give);
      return daemonDied ? await this.#renewDaemon(current) : 'done';
    } finally {
      await got.lock.release(null);
    }
  }

  /** Everything that is dead and whose next try is due: engines at once, processes after PM2 has had its turn. */
  #due(stack: StackFile): string[] {
    const alive = new Map(livingRecords(this.context.layout).map((record) => [record.instance, record.pid]));
    const now = performance.now();
    const guarded = stack.units.filter((unit) => unit.engine !== 'adopted' && unit.engine !== 'external').flatMap((unit) => [...unit.instances]);
    return [...guarded, PM2_DAEMON].filter((name) => {
      const attempt = this.#attemptOf(name);
      const pid = alive.get(name);
      if (pid !== undefined) {
        if (attempt.lastPid !== null && attempt.lastPid !== pid) attempt.restarts += 1;
        attempt.lastPid = pid;
        attempt.deadSince = null;
        if (now - attempt.next > SETTLED_MS) attempt.count = 0;
        return false;
      }
      attempt.deadSince ??= now;
      const patience = name === PM2_DAEMON || isEngine(name) ? 0 : PM2_TURN_MS;
      return now - attempt.deadSince >= patience && now >= attempt.next;
    });
  }

  async #bringBack(stack: StackFile, name: string, signal: AbortSignal): Promise<void> {
    if (name === PM2_DAEMON) return;
    const attempt = this.#attemptOf(name);
    attempt.count += 1;
    attempt.next = performance.now() + (BACKOFF_MS[Math.min(attempt.count, BACKOFF_MS.length - 1)] ?? 0);
    this.log.warn(`${name} is dead; bringing it back`, { attempt: attempt.count });
    try {
      if (isEngine(name)) await this.#restartEngine(stack, name, signal);
      else await this.#refork(stack.settings, name);
      attempt.reason = null;
    } catch (error) {
      const text = error instanceof FailureError ? error.failure.what : asError(error).message;
      attempt.reason = `attempt ${attempt.count} to bring it back failed: ${text}`;
      this.log.error(`${name}: ${attempt.reason}`, { err: error });
    }
  }

  async #restartEngine(stack: StackFile, name: 'mongodb' | 'rabbitmq', signal: AbortSignal): Promise<void> {
    const { context } = this;
    const unit = stack.units.find((one) => one.name === name);
    const step = engineStep(unit ?? { name, engine: 'spawned', version: null, instances: [name] });
    const { spec } = engineUnit(context, stack.settings, name);
    let spawned = false;
    try {
      await startEngine(context, stack.settings, step, { signal, onProgress: () => undefined, onSpawned: () => (spawned = true) });
      this.log.info(`${name} is healthy again`);
    } catch (error) {
      const hurry = AbortSignal.abort();
      if (spawned) await stopEngine(context.layout, name, spec.stop, { hurry, onProgress: () => undefined });
      throw error;
    }
  }

  /** A process that PM2 gave up, or that a dead daemon has lost. */
  async #refork(settings: Settings, instance: string): Promise<void> {
    const { layout } = this.context;
    const manager = await this.context.processManager();
    try {
      await connectManager(manager, layout);
      const known = (await manager.list()).find((one) => one.name === instance);
      if (known?.state === 'online' || known?.state === 'launching') return;
      await manager.remove(instance, 1000);
      await manager.fork(forkSpecOf(layout, settings, instance.replace(/\.\d+$/, ''), instance));
    } finally {
      manager.disconnect();
    }
  }

  /** A new daemon, and under it a new keeper that takes over from us; the forks that survived are watched, not touched. */
  async #renewDaemon(stack: StackFile): Promise<'handed-over' | 'done'> {
    const { layout } = this.context;
    this.log.warn('PM2\'s daemon is dead; starting another', { environment: stack.settings.environment });
    let manager: ProcessManager | undefined;
    try {
      manager = await this.context.processManager();
      await connectManager(manager, layout);
      await manager.remove('keeper', 1000);
      await manager.fork(keeperSpec(layout));
      return 'handed-over';
    } catch (error) {
      this.log.error('PM2\'s daemon could not be started again', { err: error });
      return 'done';
    } finally {
      manager?.disconnect();
    }
  }

  #attemptOf(name: string): Attempt {
    let attempt = this.#attempts.get(name);
    if (!attempt) {
      attempt = { count: 0, next: 0, reason: null, restarts: 0, deadSince: null, lastPid: null };
      this.#attempts.set(name, attempt);
    }
    return attempt;
  }
}

function isEngine(name: string): name is 'mongodb' | 'rabbitmq' {
  return name === 'mongodb' || name === 'rabbitmq';
}

function engineStep(unit: StackUnit): Step {
  return {
    unit: unit.name,
    kind: unit.name === 'mongodb' ? 'mongodb' : 'rabbitmq',
    action: 'start',
    engine: unit.engine,
    reason: 'it died',
    address: null,
    version: unit.version,
    program: null,
    dependsOn: [],
    instances: unit.instances,
    failure: null,
  };
}
