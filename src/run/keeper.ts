import { existsSync, lstatSync } from 'node:fs';
import { FailureError } from '../model/failure.js';
import type { Logger } from '../logs/capture.js';
import type { Settings } from '../model/settings.js';
import type { Step } from '../plan/step.js';
import { asError, codeOf } from '../util/errors.js';
import { sleep } from '../util/deadline.js';
import type { RunContext } from './context.js';
import { engineUnit, startEngine } from './engines.js';
import { forkSpecOf } from './forks.js';
import { connectManager, KEEPER, keeperSpec, PM2_DAEMON } from './helpers.js';
import { writeHealth } from './health.js';
import { acquireLock } from './lock.js';
import { livingRecords } from './processes.js';
import { repair } from './repair.js';
import { report, type UnitNote } from './report.js';
import { readStackFile, stackFileOf, type StackFile, type StackUnit } from './stack-file.js';
import { clearRunDir } from './state-dir.js';
import { stopEngine, sweepStrays } from './stop-unit.js';

const TICK_MS = 1000;
const PROBE_MS = 1500;
/** A healthy stack is looked at whole this often, ms; who lives is looked at each round. Less than HEALTH_MAX_AGE_MS. */
const LOOK_MS = 2000;
/** How long PM2 gets to bring a dead process back before the keeper looks into it, ms. */
const PM2_TURN_MS = 1500;
const BACKOFF_MS = [0, 1000, 2000, 5000, 15_000, 30_000];
/** An engine that lived this long starts again without backoff, ms. */
const SETTLED_MS = 60_000;
/** Rounds without state after which it counts as deleted. */
const GONE_TICKS = 5;
/** Tries after which a process that PM2 calls online, but that never reports, is replaced. */
const GIVE_UP_ATTEMPTS = 4;

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
  #calmUntil = 0;
  /** PM2's daemon, unless it has died since. */
  readonly #parent = process.ppid;

  constructor(
    readonly context: RunContext,
    readonly log: Logger,
  ) {}

  /** Runs until aborted, until it has ended a stack whose state folder is gone, or until a new keeper has been forked under a new daemon. */
  async run(signal: AbortSignal): Promise<void> {
    let missing = 0;
    while (!signal.aborted) {
      try {
        const stack = readStackFile(this.context.layout);
        missing = stack || !this.#stateIsGone() ? 0 : missing + 1;
        if (missing >= GONE_TICKS && (await this.#endEverything(signal))) return;
        if (stack) {
          const work = this.#due(stack);
          if (work.length > 0 || performance.now() >= this.#calmUntil) await this.#publish(stack);
          if (work.length > 0 && (await this.#repair(work, signal)) === 'handed-over') return;
        }
      } catch (error) {
        // A full disk, say: whoever guards must outlive it.
        if (!isAborted(signal)) this.log.error('the keeper could not do its round', { err: asError(error) });
      }
      await sleep(TICK_MS, signal).catch(() => undefined);
    }
  }

  /** Deleted for sure, not just unreadable at the moment. */
  #stateIsGone(): boolean {
    try {
      lstatSync(stackFileOf(this.context.layout));
      return false;
    } catch (error) {
      return codeOf(error) === 'ENOENT';
    }
  }

  /** Somebody has deleted `.memt` or the whole project: its processes have lost their data and logs, and no verb would find them. */
  async #endEverything(signal: AbortSignal): Promise<boolean> {
    const { layout } = this.context;
    const got = await acquireLock({ name: layout.lockName, verb: 'keeper', waitMs: 0, signal });
    if (got.kind !== 'held') return false;
    try {
      if (!this.#stateIsGone()) return false;
      this.log.error(`${layout.stateDir} has been deleted: the stack is stopped`);
      await sweepStrays(layout, { hurry: new AbortController().signal, onProgress: () => undefined });
      clearRunDir(layout);
      return true;
    } finally {
      await got.lock.release(null);
    }
  }

  async #publish(stack: StackFile): Promise<void> {
    const { layout, registry } = this.context;
    const notes = new Map<string, UnitNote>(
      [...this.#attempts].map(([name, attempt]) => [name, { restarts: attempt.restarts, reason: attempt.reason }]),
    );
    const now = await report(stack, layout, registry, { probeTimeoutMs: PROBE_MS, notes });
    // A little less than two rounds: the second one after this looks again.
    this.#calmUntil = now.state === 'healthy' ? performance.now() + LOOK_MS - TICK_MS / 2 : 0;
    if (existsSync(layout.journalDir)) writeHealth(layout, { at: Date.now(), keeperPid: process.pid, report: now });
  }

  async #repair(work: readonly string[], signal: AbortSignal): Promise<'done' | 'handed-over'> {
    const cancel = new AbortController();
    const give = AbortSignal.any([signal, cancel.signal]);
    // A verb that asks for the lock gets it: a half-started engine is stopped again.
    const got = await acquireLock({
      name: this.context.layout.lockName,
      verb: 'keeper',
      waitMs: 0,
      signal,
      onCancel: () => cancel.abort(),
    });
    if (got.kind !== 'held') return 'done';
    try {
      // A verb may have changed the world while we waited for the lock.
      const current = readStackFile(this.context.layout);
      if (!current || current.phase === 'stopping') return 'done';
      const still = this.#due(current);
      const names = work.filter((name) => still.includes(name));
      const forks = names.filter((name) => !isEngine(name) && name !== PM2_DAEMON);
      await Promise.all([
        this.#restartEngines(current, names.filter(isEngine), give),
        this.#reforkAll(current.settings, forks, give),
      ]);
      return names.includes(PM2_DAEMON) && !isAborted(give) ? await this.#renewDaemon() : 'done';
    } finally {
      await got.lock.release(null);
    }
  }

  /**
   * Everything that is dead and whose next try is due: engines at once, processes after PM2 has had its turn; the daemon also when it is
   * another one than our parent, since it would not bring us back. While no `up` has succeeded, only what has been seen alive.
   */
  #due(stack: StackFile): string[] {
    if (stack.phase === 'stopping') return [];
    const alive = new Map(livingRecords(this.context.layout).map((record) => [record.instance, record.pid]));
    const now = performance.now();
    const guarded = stack.units
      .filter((unit) => unit.engine !== 'adopted' && unit.engine !== 'external')
      .flatMap((unit) => [...unit.instances]);
    return [...guarded, PM2_DAEMON].filter((name) => {
      const attempt = this.#attemptOf(name);
      const pid = alive.get(name);
      const orphaned = name === PM2_DAEMON && process.ppid !== this.#parent && process.ppid !== pid;
      if (pid !== undefined && !orphaned) {
        if (attempt.lastPid !== null && attempt.lastPid !== pid) attempt.restarts += 1;
        attempt.lastPid = pid;
        attempt.deadSince = null;
        attempt.reason = null;
        if (now - attempt.next > SETTLED_MS) attempt.count = 0;
        return false;
      }
      if (stack.phase === 'starting' && attempt.lastPid === null) return false;
      attempt.deadSince ??= now;
      const patience = name === PM2_DAEMON || isEngine(name) ? 0 : PM2_TURN_MS;
      return now - attempt.deadSince >= patience && now >= attempt.next;
    });
  }

  /** One try, with the next one later. @returns whether it succeeded */
  async #try(name: string, work: (attempt: Attempt) => Promise<void>): Promise<boolean> {
    const attempt = this.#attemptOf(name);
    attempt.count += 1;
    attempt.next = performance.now() + (BACKOFF_MS[Math.min(attempt.count, BACKOFF_MS.length - 1)] ?? 0);
    this.log.warn(`${name} is dead; bringing it back`, { attempt: attempt.count });
    try {
      await work(attempt);
      attempt.reason = null;
      return true;
    } catch (error) {
      const text = error instanceof FailureError ? error.failure.what : asError(error).message;
      attempt.reason = `attempt ${attempt.count} to bring it back failed: ${text}`;
      this.log.error(`${name}: ${attempt.reason}`, { err: error });
      return false;
    }
  }

  async #restartEngines(
    stack: StackFile,
    names: readonly ('mongodb' | 'rabbitmq')[],
    signal: AbortSignal,
  ): Promise<void> {
    if (names.length === 0) return;
    // A keeper that was killed between spawn and record has left an engine that holds the port and that nobody knows.
    await repair(this.context.layout, { hurry: signal, onProgress: () => undefined });
    await Promise.all(names.map((name) => this.#try(name, () => this.#restartEngine(stack, name, signal))));
  }

  async #restartEngine(stack: StackFile, name: 'mongodb' | 'rabbitmq', signal: AbortSignal): Promise<void> {
    const { context } = this;
    const unit = stack.units.find((one) => one.name === name);
    const step = engineStep(unit ?? { name, engine: 'spawned', version: null, instances: [name] });
    const { spec } = engineUnit(context, stack.settings, name);
    try {
      await startEngine(context, stack.settings, step, {
        signal,
        onProgress: () => undefined,
        onSpawned: () => undefined,
      });
      this.log.info(`${name} is healthy again`);
    } catch (error) {
      const hurry = AbortSignal.abort();
      await stopEngine(context.layout, name, spec.stop, { hurry, onProgress: () => undefined });
      throw error;
    }
  }

  /** Processes that PM2 gave up, or that a dead daemon has lost. */
  async #reforkAll(settings: Settings, instances: readonly string[], signal: AbortSignal): Promise<void> {
    const { layout } = this.context;
    if (instances.length === 0) return;
    const manager = await this.context.processManager();
    try {
      for (const instance of instances) {
        if (isAborted(signal)) return;
        await this.#try(instance, async (attempt) => {
          await connectManager(manager, layout);
          const known = (await manager.list()).find((one) => one.name === instance);
          const lives = known?.state === 'online' || known?.state === 'launching';
          // It has just been started and is not that far as to be recorded; one that never gets there is replaced.
          if (lives && attempt.count < GIVE_UP_ATTEMPTS) return;
          await manager.remove(instance, 1000);
          await manager.fork(forkSpecOf(layout, settings, instance.replace(/\.\d+$/, ''), instance));
        });
      }
    } finally {
      manager.disconnect();
    }
  }

  /** A new daemon when there is none, and under it a new keeper that takes over from us; forks that survived are watched, not touched. */
  async #renewDaemon(): Promise<'handed-over' | 'done'> {
    const { layout } = this.context;
    let handedOver = false as boolean;
    await this.#try(PM2_DAEMON, async () => {
      const manager = await this.context.processManager();
      try {
        await connectManager(manager, layout);
        const known = (await manager.list()).find((one) => one.name === KEEPER);
        // Removing ourselves would leave nobody to fork the next one.
        if (known?.pid === process.pid) return;
        await manager.remove(KEEPER, 1000);
        await manager.fork(keeperSpec(layout));
        handedOver = true;
      } finally {
        manager.disconnect();
      }
    });
    return handedOver ? 'handed-over' : 'done';
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

/** As a call: TypeScript would take an `aborted` that it has seen once for a constant. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
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
