import { FailureError, type Failure } from '../model/failure.js';
import type { Settings } from '../model/settings.js';
import { startOrder } from '../plan/graph.js';
import type { Step, UpPlan } from '../plan/step.js';
import { stackGraph } from '../plan/up.js';
import type { ManagedProcess, ProcessManager } from '../ports/process-manager.js';
import { asError } from '../util/errors.js';
import type { RunContext } from './context.js';
import { describeStep } from './describe-step.js';
import { engineUnit, startEngine, waitForEngine } from './engines.js';
import {
  closeGate,
  forkGraceMs,
  forkUnit,
  isUnitOf,
  openGate,
  restoreUnit,
  waitFork,
  type EngineUris,
} from './forks.js';
import { connectManager, forkKeeper, isStopped, KEEPER, PM2_DAEMON } from './helpers.js';
import { livingRecord, livingRecords } from './processes.js';
import { readStackFile, writeStackFile, type StackFile, type StackUnit } from './stack-file.js';
import { clearRunDir, writeFailure } from './state-dir.js';
import { removeFork, stopEngine, stopFork, stopHelper, sweepStrays, type StopOptions } from './stop-unit.js';
import { toFailure } from './to-failure.js';
import { leavingUnits, stopFirst } from './stop-first.js';
import { reachableUrls, type LabelledUrl } from './urls.js';

export interface UpOptions {
  /** Aborted by Ctrl-C, SIGTERM or a `down`: roll back. */
  readonly signal: AbortSignal;
  /** Aborted by the second Ctrl-C: do not wait while rolling back. */
  readonly hurry: AbortSignal;
  /** Start each unit only after the one listed before it is healthy. */
  readonly sequential: boolean;
}

export interface UpOutcome {
  readonly failure: Failure | null;
  readonly rolledBack: readonly string[];
  readonly urls: readonly LabelledUrl[];
}

interface Undo {
  readonly unit: string;
  run(options: StopOptions): Promise<unknown>;
}

/** Carries the plan out; on failure or abort stops exactly what this run started. Never throws for expected trouble. */
export async function runUp(
  context: RunContext,
  settings: Settings,
  plan: UpPlan,
  options: UpOptions,
): Promise<UpOutcome> {
  const planned = plannedFailure(plan);
  if (planned) return { failure: planned, rolledBack: [], urls: [] };
  context.emit({ type: 'plan', units: plan.steps.map((step) => step.unit) });
  const run = new UpRun(context, settings, plan, options);
  let failure: Failure | null;
  try {
    failure = await run.execute();
  } catch (bug) {
    await run.rollBack();
    throw bug;
  }
  if (failure === null) return { failure, rolledBack: [], urls: await reachableUrls(settings) };
  const rolledBack = await run.rollBack();
  return { failure, rolledBack, urls: [] };
}

/** Why the plan cannot be carried out: the first obstacle, and the others with it, so that all can be mended at once. */
function plannedFailure(plan: UpPlan): Failure | null {
  const [first, ...others] = plan.steps.flatMap((step) => step.failure ?? []);
  if (!first || others.length === 0) return first ?? null;
  const also = others.map((failure) => `also: ${failure.unit ?? ''}: ${failure.what}`);
  return { ...first, evidence: [...(first.evidence ?? []), ...also] };
}

class UpRun {
  readonly #startedAt = Date.now();
  readonly #undo: Undo[] = [];
  readonly #abort = new AbortController();
  readonly #healthy = new Map<string, Promise<void>>();
  readonly #versions = new Map<string, string | null>();
  readonly #signal: AbortSignal;
  readonly #uris: EngineUris;
  /** The stack as it was before this run: what it names and this plan does not touch stays part of the stack. */
  readonly #before: StackFile | null;
  #manager: Promise<ProcessManager> | undefined;

  constructor(
    readonly context: RunContext,
    readonly settings: Settings,
    readonly plan: UpPlan,
    readonly options: UpOptions,
  ) {
    this.#signal = AbortSignal.any([options.signal, this.#abort.signal]);
    this.#before = readStackFile(context.layout);
    this.#uris = this.#urisOf(settings);
  }

  async execute(): Promise<Failure | null> {
    try {
      // What is healthy and stays as it is was never starting: a run that only looks must not unguard it.
      if (this.#changes) this.#writeStack('starting');
      await stopFirst(this.context, this.settings, this.plan, this.#before, {
        signal: this.#signal,
        connected: () => this.#connected(),
        stopOptions: (unit) => this.#stopOptions(unit),
      });
    } catch (error) {
      this.#disconnectManager();
      return toFailure(error, this.options.signal, this.context.layout);
    }
    let first: unknown;
    const watch = (work: Promise<void>): Promise<void> =>
      work.catch((error: unknown) => {
        first ??= error;
        this.#abort.abort(error);
        throw error;
      });
    const work: Promise<void>[] = [watch(this.#superviseIfNeeded())];
    let printed: Promise<void> = Promise.resolve();
    for (const step of this.plan.steps) {
      const before = this.options.sequential ? printed : Promise.resolve();
      const done = watch(before.then(() => this.#runStep(step)).then(() => undefined));
      this.#healthy.set(step.unit, done);
      const line = printed;
      printed = Promise.all([done, line]).then(() => this.#print(step));
      work.push(done, printed);
    }
    await Promise.allSettled(work);
    this.#disconnectManager();
    try {
      if (first !== undefined) throw asError(first);
      this.#writeStack('up');
      return null;
    } catch (error) {
      return toFailure(error, this.options.signal, this.context.layout);
    }
  }

  get #changes(): boolean {
    const quiet = this.plan.steps.every((step) => step.action === 'keep' || step.action === 'use');
    return !quiet || leavingUnits(this.settings, this.#before).length > 0 || this.#before?.phase !== 'up';
  }

  #stopOptions(unit: string): StopOptions {
    return { hurry: this.options.hurry, onProgress: (text) => this.#progress(unit, text) };
  }

  /** Stops what this run started, newest first; gives the units in the order in which they were stopped. */
  async rollBack(): Promise<string[]> {
    const units = [...new Set(this.#undo.map((undo) => undo.unit).reverse())].filter(
      (unit) => unit !== KEEPER && unit !== PM2_DAEMON,
    );
    this.context.emit({ type: 'rollback', units });
    for (const undo of this.#undo.reverse()) {
      try {
        await undo.run(this.#stopOptions(undo.unit));
      } catch (error) {
        // One unit that cannot be stopped is no reason to leave the others running.
        if (!(error instanceof FailureError)) throw error;
        this.context.emit({ type: 'warning', text: `${undo.unit}: ${error.failure.what}` });
      }
    }
    this.#disconnectManager();
    const { layout } = this.context;
    if (livingRecords(layout).length === 0) {
      await sweepStrays(layout, { hurry: this.options.hurry, onProgress: () => undefined });
      clearRunDir(layout);
    } else if (this.#before) {
      this.#writeQuietly(this.#before);
    }
    return units;
  }

  readonly #started = new Map<string, number>();

  #runStep(step: Step): Promise<void> {
    this.#started.set(step.unit, performance.now());
    this.context.emit({ type: 'step-start', unit: step.unit, text: step.reason });
    return step.kind === 'mongodb' || step.kind === 'rabbitmq' ? this.#runEngine(step, step.kind) : this.#runFork(step);
  }

  async #runEngine(step: Step, unit: 'mongodb' | 'rabbitmq'): Promise<void> {
    const { context, settings } = this;
    const bound = engineUnit(context, settings, unit);
    const started =
      step.action === 'start' || step.action === 'restart'
        ? await startEngine(context, settings, step, {
            signal: this.#signal,
            onProgress: (text) => this.#progress(unit, text),
            onSpawned: () =>
              this.#undo.push({ unit, run: (stop) => stopEngine(context.layout, unit, bound.spec.stop, stop) }),
          })
        : await waitForEngine(bound, step, settings.timeouts.engineMs, this.#signal);
    this.#versions.set(unit, started.version);
  }

  async #runFork(step: Step): Promise<void> {
    const { context, settings } = this;
    const { layout } = context;
    const graceMs = forkGraceMs(settings, step.unit);
    if (step.action !== 'keep') {
      const manager = await this.#connected();
      this.#signal.throwIfAborted();
      const missing = step.instances.filter((instance) => livingRecord(layout, instance) === undefined);
      if (missing.length === step.instances.length) closeGate(layout, step.unit);
      this.#undo.push({ unit: step.unit, run: (stop) => this.#undoFork(step, missing, manager, graceMs, stop) });
      await forkUnit(manager, layout, settings, step, this.#uris, missing);
    }
    await Promise.all(step.dependsOn.flatMap((name) => this.#healthy.get(name) ?? []));
    openGate(layout, step.unit);
    await waitFork(() => this.#managed(), layout, settings, step, {
      signal: this.#signal,
      onProgress: (text) => this.#progress(step.unit, text),
      sinceMs: this.#startedAt,
    });
  }

  async #undoFork(
    step: Step,
    missing: readonly string[],
    manager: ProcessManager,
    graceMs: number,
    stop: StopOptions,
  ): Promise<void> {
    const { layout } = this.context;
    if (missing.length === step.instances.length) {
      await stopFork(layout, manager, step.unit, graceMs, stop);
      const before = this.#before?.settings;
      // The keeper starts it again as it was before: with its settings of then, and past an open gate.
      if (step.action === 'restart' && before && isUnitOf(before, step.unit))
        restoreUnit(layout, before, step.unit, this.#urisOf(before));
      else closeGate(layout, step.unit);
      return;
    }
    await Promise.all(missing.map((instance) => removeFork(layout, manager, instance, graceMs, stop)));
  }

  /** PM2's daemon and the keeper: started beside the engines, so that their 0.3 s hide behind the engines' boot. */
  async #superviseIfNeeded(): Promise<void> {
    const { layout } = this.context;
    const works = (instance: string): boolean => {
      const pid = livingRecord(layout, instance)?.pid;
      return pid != null && !isStopped(pid);
    };
    if (works(KEEPER) && works(PM2_DAEMON)) return;
    const manager = await this.#connected();
    this.#signal.throwIfAborted();
    // One that lives hands over to another keeper under the new daemon by itself.
    if (works(KEEPER)) return;
    await stopHelper(layout, KEEPER, 0, this.#stopOptions(KEEPER));
    this.#undo.unshift({ unit: KEEPER, run: (stop) => stopHelper(layout, KEEPER, 1000, stop) });
    await forkKeeper(manager, layout, this.settings);
  }

  #connected(): Promise<ProcessManager> {
    this.#manager ??= (async () => {
      const { layout } = this.context;
      const hadDaemon = livingRecord(layout, PM2_DAEMON) !== undefined;
      const manager = await this.context.processManager();
      await connectManager(manager, layout);
      if (!hadDaemon)
        this.#undo.unshift({ unit: PM2_DAEMON, run: (stop) => stopHelper(layout, PM2_DAEMON, 3000, stop) });
      return manager;
    })();
    return this.#manager;
  }

  async #managed(): Promise<readonly ManagedProcess[]> {
    return this.#manager ? (await this.#manager).list() : [];
  }

  #disconnectManager(): void {
    void this.#manager?.then(
      (manager) => manager.disconnect(),
      () => undefined, // it never connected
    );
  }

  #urisOf(settings: Settings): EngineUris {
    const uriOf = (unit: 'mongodb' | 'rabbitmq'): string | null => {
      const engine = settings[unit];
      if (!engine) return null;
      const { spec } = engineUnit(this.context, settings, unit);
      return engine.uri ?? spec.uri(engine, spec.endpoint(engine));
    };
    return { mongodb: uriOf('mongodb'), rabbitmq: uriOf('rabbitmq') };
  }

  #progress(unit: string, text: string): void {
    this.context.emit({ type: 'step-progress', unit, text });
  }

  #print(step: Step): void {
    const durationMs = performance.now() - (this.#started.get(step.unit) ?? performance.now());
    this.context.emit({
      type: 'step-done',
      unit: step.unit,
      text: describeStep(
        step,
        this.settings,
        this.#versions.get(step.unit) ?? step.version ?? '',
        livingRecord(this.context.layout, step.unit)?.pid ?? null,
      ),
      address: step.address,
      engine: step.engine,
      durationMs,
      changed: step.action === 'start' || step.action === 'restart',
    });
  }

  #writeStack(phase: 'starting' | 'up'): void {
    const planned = this.plan.steps.map((step): StackUnit => ({
      name: step.unit,
      engine: step.engine,
      version: this.#versions.get(step.unit) ?? step.version,
      instances: step.instances,
    }));
    const order = startOrder(stackGraph(this.settings));
    const others = (this.#before?.units ?? []).filter(
      (unit) => order.includes(unit.name) && !planned.some((one) => one.name === unit.name),
    );
    const units = [...planned, ...others].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    writeStackFile(this.context.layout, {
      schema: 1,
      version: this.context.version,
      phase,
      since: Date.now(),
      settings: this.settings,
      units,
    });
  }

  /** What made the run fail (a full disk) may make this fail, too; the file then still names all units. */
  #writeQuietly(stack: StackFile): void {
    try {
      writeStackFile(this.context.layout, stack);
    } catch (error) {
      this.context.emit({ type: 'warning', text: writeFailure(this.context.layout.runDir, error).what });
    }
  }
}
