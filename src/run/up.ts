import { dirname } from 'node:path';
import { FailureError, type Failure } from '../model/failure.js';
import type { Settings } from '../model/settings.js';
import { startOrder } from '../plan/graph.js';
import type { Step, UpPlan } from '../plan/step.js';
import { stackGraph } from '../plan/up.js';
import type { ManagedProcess, ProcessManager } from '../ports/process-manager.js';
import { asError } from '../util/errors.js';
import type { RunContext } from './context.js';
import { engineUnit, startEngine, waitForEngine } from './engines.js';
import { closeGate, forkGraceMs, forkUnit, openGate, waitFork, type EngineUris } from './forks.js';
import { connectManager, forkKeeper, KEEPER, PM2_DAEMON } from './helpers.js';
import { livingRecord, livingRecords } from './processes.js';
import { readStackFile, writeStackFile, type StackFile, type StackUnit } from './stack-file.js';
import { clearRunDir } from './state-dir.js';
import { stopEngine, stopFork, stopHelper, sweepStrays, type StopOptions } from './stop-unit.js';
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
export async function runUp(context: RunContext, settings: Settings, plan: UpPlan, options: UpOptions): Promise<UpOutcome> {
  const planned = plannedFailure(plan);
  if (planned) return { failure: planned, rolledBack: [], urls: [] };
  context.emit({ type: 'plan', units: plan.steps.map((step) => step.unit) });
  const run = new UpRun(context, settings, plan, options);
  const failure = await run.execute();
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
    this.#uris = { mongodb: this.#uriOf('mongodb'), rabbitmq: this.#uriOf('rabbitmq') };
  }

  async execute(): Promise<Failure | null> {
    this.#writeStack('starting');
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
    if (first !== undefined) return toFailure(first, this.options.signal);
    this.#writeStack('up');
    return null;
  }

  /** Stops what this run started, newest first; gives the units in the order in which they were stopped. */
  async rollBack(): Promise<string[]> {
    const units = [...new Set(this.#undo.map((undo) => undo.unit).reverse())].filter((unit) => unit !== KEEPER && unit !== PM2_DAEMON);
    this.context.emit({ type: 'rollback', units });
    for (const undo of this.#undo.reverse()) {
      await undo.run({ hurry: this.options.hurry, onProgress: (text) => this.#progress(undo.unit, text) });
    }
    this.#disconnectManager();
    const { layout } = this.context;
    if (livingRecords(layout).length === 0) {
      await sweepStrays(layout, { hurry: this.options.hurry, onProgress: () => undefined });
      clearRunDir(layout);
    } else if (this.#before) {
      writeStackFile(layout, this.#before);
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
    if (step.action === 'restart') {
      await stopEngine(context.layout, unit, bound.spec.stop, { hurry: this.options.hurry, onProgress: (text) => this.#progress(unit, text) });
    }
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
      if (step.action === 'restart') {
        await stopFork(layout, manager, step.unit, graceMs, { hurry: this.options.hurry, onProgress: (text) => this.#progress(step.unit, text) });
      }
      const missing = step.instances.filter((instance) => livingRecord(layout, instance) === undefined);
      if (missing.length === step.instances.length) closeGate(layout, step.unit);
      this.#undo.push({ unit: step.unit, run: (stop) => this.#undoFork(step, missing, manager, graceMs, stop) });
      await forkUnit(manager, layout, settings, step, this.#uris, missing);
    }
    await Promise.all(step.dependsOn.map((name) => this.#healthy.get(name)));
    openGate(layout, step.unit);
    await waitFork(() => this.#managed(), layout, settings, step, {
      signal: this.#signal,
      onProgress: (text) => this.#progress(step.unit, text),
      sinceMs: this.#startedAt,
    });
  }

  async #undoFork(step: Step, missing: readonly string[], manager: ProcessManager, graceMs: number, stop: StopOptions): Promise<void> {
    const { layout } = this.context;
    if (missing.length === step.instances.length) {
      await stopFork(layout, manager, step.unit, graceMs, stop);
      closeGate(layout, step.unit);
      return;
    }
    await Promise.all(missing.map((instance) => manager.remove(instance, graceMs)));
  }

  /** PM2's daemon and the keeper: started beside the engines, so that their 0.3 s hide behind the engines' boot. */
  async #superviseIfNeeded(): Promise<void> {
    const { layout } = this.context;
    if (livingRecord(layout, KEEPER) && livingRecord(layout, PM2_DAEMON)) return;
    const manager = await this.#connected();
    this.#signal.throwIfAborted();
    if (livingRecord(layout, KEEPER)) return;
    this.#undo.unshift({ unit: KEEPER, run: (stop) => stopHelper(layout, KEEPER, 1000, stop) });
    await forkKeeper(manager, layout, this.settings);
  }

  #connected(): Promise<ProcessManager> {
    this.#manager ??= (async () => {
      const { layout } = this.context;
      const hadDaemon = livingRecord(layout, PM2_DAEMON) !== undefined;
      const manager = await this.context.processManager();
      await connectManager(manager, layout);
      if (!hadDaemon) this.#undo.unshift({ unit: PM2_DAEMON, run: (stop) => stopHelper(layout, PM2_DAEMON, 3000, stop) });
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

  #uriOf(unit: 'mongodb' | 'rabbitmq'): string | null {
    const engine = this.settings[unit];
    if (!engine) return null;
    const { spec } = engineUnit(this.context, this.settings, unit);
    return engine.uri ?? spec.uri(engine, spec.endpoint(engine));
  }

  #progress(unit: string, text: string): void {
    this.context.emit({ type: 'step-progress', unit, text });
  }

  #print(step: Step): void {
    const durationMs = performance.now() - (this.#started.get(step.unit) ?? performance.now());
    this.context.emit({
      type: 'step-done',
      unit: step.unit,
      text: this.#describe(step),
      address: step.address,
      engine: step.engine,
      durationMs,
      changed: step.action === 'start' || step.action === 'restart',
    });
  }

  #describe(step: Step): string {
    const version = this.#versions.get(step.unit) ?? step.version ?? '';
    const pid = livingRecord(this.context.layout, step.unit)?.pid;
    switch (step.engine) {
      case 'embedded':
        return step.action === 'start' ? `EMBEDDED (${step.reason}), answers as ${version}` : `EMBEDDED, ${step.reason}, answers as ${version}`;
      case 'spawned':
        return `${version} ${step.program === null ? step.reason : dirname(step.program)}, pid ${pid ?? '?'}`;
      case 'adopted':
      case 'external':
        return `${version} ${step.engine}: ${step.reason}`;
      case null: {
        const word = step.kind === 'worker' ? 'consuming' : 'answering';
        const wanted = step.kind === 'web' ? (this.settings.web?.workers ?? 1) : step.instances.length;
        return `${wanted}/${wanted} ${word}`;
      }
    }
  }

  #writeStack(phase: 'starting' | 'up'): void {
    const planned = this.plan.steps.map((step): StackUnit => ({
      name: step.unit,
      engine: step.engine,
      version: this.#versions.get(step.unit) ?? step.version,
      instances: step.instances,
    }));
    const others = (this.#before?.units ?? []).filter((unit) => !planned.some((one) => one.name === unit.name));
    const order = startOrder(stackGraph(this.settings));
    const units = [...planned, ...others].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    writeStackFile(this.context.layout, { schema: 1, version: this.context.version, phase, since: Date.now(), settings: this.settings, units });
  }
}

/** A thrown value as the failure of the run; bugs are thrown on. */
function toFailure(error: unknown, outer: AbortSignal): Failure {
  if (outer.aborted) return interruption(outer.reason);
  if (error instanceof FailureError) return error.failure;
  throw asError(error);
}

/** The failure that stands for an abort: its reason is the FailureError that the aborter gave. */
export function interruption(reason: unknown): Failure {
  return reason instanceof FailureError ? reason.failure : { kind: 'interrupted', what: 'interrupted' };
}
