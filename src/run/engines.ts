import { statSync } from 'node:fs';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { forgetJournal, writeJournal } from '../host/journal-file.js';
import { recentErrors } from '../logs/recent.js';
import { FailureError, type Failure } from '../model/failure.js';
import { MEMT_ENV } from '../model/launch.js';
import type { MongodbSettings, RabbitmqSettings, Settings } from '../model/settings.js';
import type { Step } from '../plan/step.js';
import type { EngineContext, EngineLaunch, EngineSpec, ProbeResult } from '../ports/engine.js';
import type { Spawned } from '../ports/spawner.js';
import { sleep } from '../util/deadline.js';
import { ENTRIES } from '../util/entries.js';
import type { RunContext } from './context.js';
import { readTail, sizeOf } from './log-tail.js';
import { settingsDigest } from './stack-file.js';
import { writeLaunchFile } from './launch-file.js';

type AnyEngineSettings = MongodbSettings | RabbitmqSettings;

/** What was there before this start: an earlier run's last words must not explain this one's end. */
interface Before {
  readonly logBytes: number;
  readonly outputBytes: number;
  /** Unix ms. */
  readonly at: number;
}

export interface StartedEngine {
  readonly version: string;
}

/** An engine as a unit of this run: its spec bound to its settings. */
export interface EngineUnit {
  readonly spec: EngineSpec<AnyEngineSettings>;
  readonly engine: AnyEngineSettings;
}

export function engineUnit(context: RunContext, settings: Settings, unit: 'mongodb' | 'rabbitmq'): EngineUnit {
  const engine = settings[unit];
  if (!engine) throw new Error(`${unit} is switched off`);
  // The registry pairs each spec with its own settings; TypeScript cannot follow the pairing through the index.
  return { spec: context.registry[unit], engine };
}

/**
 * Spawns the engine of the step and waits until it is healthy.
 * @throws FailureError when it exits, stays silent past the deadline, or cannot be spawned; the signal's reason when aborted
 */
export async function startEngine(
  context: RunContext,
  settings: Settings,
  step: Step,
  options: {
    readonly signal: AbortSignal;
    readonly onProgress: (text: string) => void;
    readonly onSpawned: () => void;
  },
): Promise<StartedEngine> {
  const unit = step.unit as 'mongodb' | 'rabbitmq';
  const bound = engineUnit(context, settings, unit);
  const launch =
    step.engine === 'embedded' ? embeddedLaunch(context, settings, bound) : await realLaunch(context, settings, bound);
  prepare(launch);
  const record = {
    schema: 1 as const,
    unit,
    instance: unit,
    role: 'engine' as const,
    command: [launch.command, ...launch.args].join(' '),
    ports: launch.ports,
    engine: step.engine ?? 'spawned',
    settingsDigest: settingsDigest(bound.engine),
  };
  const intended = { ...record, pid: null, startTime: 0, bootId: '', at: Date.now() };
  writeJournal(context.layout.journalDir, intended);
  const before: Before = { logBytes: sizeOf(launch.logFile), outputBytes: sizeOf(launch.stdoutFile), at: Date.now() };
  const spawned = await context.spawn(launch);
  writeJournal(context.layout.journalDir, { ...record, ...spawned.identity, at: Date.now() });
  options.onSpawned();
  try {
    const healthy = await waitHealthy(bound, launch, before, spawned, settings, context, options);
    writeJournal(context.layout.journalDir, {
      ...record,
      ...spawned.identity,
      at: Date.now(),
      version: healthy.version,
    });
    return { version: healthy.version };
  } catch (error) {
    if (!(error instanceof FailureError) || error.failure.kind !== 'engine-exited') throw error;
    forgetJournal(context.layout.journalDir, unit);
    throw error;
  }
}

/**
 * Waits until an engine that we do not start now is healthy: our own from an earlier run, an adopted or an external one.
 * @throws FailureError engine-refused with the last look's reason
 */
export async function waitForEngine(
  { spec, engine }: EngineUnit,
  step: Step,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<StartedEngine> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const probe = await spec.probe(spec.endpoint(engine), { timeoutMs: 2000, signal });
    if (probe.kind === 'healthy') return { version: probe.version };
    if (performance.now() > end || probe.kind === 'denied' || probe.kind === 'foreign') {
      throw new FailureError({
        kind: 'engine-refused',
        unit: spec.unit,
        what: `the ${step.engine ?? ''} ${spec.product} at ${step.address ?? '?'} is not usable: ${describeProbe(probe)}`,
        mend: step.engine === 'external' ? `Check ${spec.unit}.uri and the server` : 'memt down && memt up',
      });
    }
    await sleep(50, signal);
  }
}

async function realLaunch(
  context: RunContext,
  settings: Settings,
  { spec, engine }: EngineUnit,
): Promise<EngineLaunch> {
  const binary = spec.find(engine, settings.env);
  if (!binary)
    throw new FailureError({
      kind: 'engine-missing',
      unit: spec.unit,
      what: `the ${spec.product} program has disappeared`,
    });
  if ('kind' in binary) throw new FailureError(binary);
  const launch = await spec.launch(engineContext(context, settings, engine), binary);
  return { ...launch, env: { ...launch.env, [MEMT_ENV.runDir]: context.layout.runDir } };
}

function embeddedLaunch(context: RunContext, settings: Settings, { spec, engine }: EngineUnit): EngineLaunch {
  const { layout } = context;
  // Never in the real server's folder: the day it is installed it would find files there that it does not know.
  const dataDir = engine.dataDirConfigured ? join(engine.dataDir, 'memt-embedded') : `${engine.dataDir}-embedded`;
  const launchFile = writeLaunchFile(layout, settings, spec.unit, { ...engine, dataDir }, settingsDigest(engine), {});
  return {
    command: process.execPath,
    args: [spec.unit === 'mongodb' ? ENTRIES.mongodbEmbedded : ENTRIES.rabbitmqEmbedded],
    cwd: layout.root,
    env: {
      [MEMT_ENV.runDir]: layout.runDir,
      [MEMT_ENV.launch]: launchFile,
      [MEMT_ENV.instance]: spec.unit,
      PATH: settings.env['PATH'] ?? '',
      HOME: settings.env['HOME'] ?? '/',
    },
    directories: [dataDir],
    files: [],
    stdoutFile: join(layout.logDir, `${spec.unit}.out`),
    logFile: join(layout.logDir, `${spec.unit}.ndjson`),
    ports: [
      engine.port,
      ...('managementPort' in engine && engine.managementPort !== null ? [engine.managementPort] : []),
    ],
    helperPorts: [],
  };
}

function engineContext(
  context: RunContext,
  settings: Settings,
  engine: AnyEngineSettings,
): EngineContext<AnyEngineSettings> {
  return { settings: engine, layout: context.layout, project: settings.project };
}

function prepare(launch: EngineLaunch): void {
  for (const directory of launch.directories) mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const file of launch.files) writeFileSync(file.path, file.content, { mode: file.mode });
}

async function waitHealthy(
  { spec, engine }: EngineUnit,
  launch: EngineLaunch,
  before: Before,
  spawned: Spawned,
  settings: Settings,
  context: RunContext,
  options: { readonly signal: AbortSignal; readonly onProgress: (text: string) => void },
): Promise<Extract<ProbeResult, { kind: 'healthy' }>> {
  const started = Date.now();
  const { engineMs } = settings.timeouts;
  let exited: Awaited<Spawned['exit']> | undefined;
  void spawned.exit.then((exit) => (exited = exit));
  for (;;) {
    options.signal.throwIfAborted();
    const probe = await spec.probe(spec.endpoint(engine), { timeoutMs: 1000, signal: options.signal });
    if (exited) {
      const exit = {
        ...exited,
        logTail: readTail(launch.logFile, 200, before.logBytes),
        output: readTail(launch.stdoutFile, 50, before.outputBytes),
      };
      throw new FailureError(
        exitFailure(spec.explainExit(exit, engineContext(context, settings, engine)), exit.output, before, context),
      );
    }
    if (probe.kind === 'healthy') return probe;
    // A slow recovery is fine as long as the engine's own log says that it is at work.
    if (Date.now() - Math.max(started, modifiedAt(launch.logFile)) > engineMs) {
      throw new FailureError(timeoutFailure(spec, launch, probe, Date.now() - started));
    }
    options.onProgress(describeProbe(probe));
    await sleep(Date.now() - started < 1000 ? 15 : 40, options.signal);
  }
}

function exitFailure(failure: Failure, output: readonly string[], before: Before, context: RunContext): Failure {
  if (failure.evidence && failure.evidence.length > 0) return failure;
  const records = recentErrors(context.layout.logDir, failure.unit ?? '', { lines: 5, sinceMs: before.at });
  const evidence = records.length > 0 ? records.map((record) => record.text) : output.slice(-5);
  return { ...failure, evidence };
}

function timeoutFailure(
  spec: EngineSpec<AnyEngineSettings>,
  launch: EngineLaunch,
  probe: ProbeResult,
  ms: number,
): Failure {
  return {
    kind: 'engine-timeout',
    unit: spec.unit,
    what: `${spec.product} was not healthy after ${(ms / 1000).toFixed(0)} s: ${describeProbe(probe)}`,
    ...(probe.kind === 'refused' || probe.kind === 'silent'
      ? { cause: 'Its log has not moved for that long, so it hangs or waits for something' }
      : {}),
    mend: `Look into ${launch.logFile}; a slow machine: memt up --timeout 180s`,
    evidence: readTail(launch.logFile, 5),
  };
}

/** One look as words, for progress and failure texts. */
export function describeProbe(probe: ProbeResult): string {
  switch (probe.kind) {
    case 'healthy':
      return 'healthy';
    case 'refused':
      return 'nothing listens on its port yet';
    case 'silent':
      return `it listens, but did not answer within ${probe.ms} ms`;
    case 'not-ready':
    case 'denied':
    case 'foreign':
      return probe.reason;
  }
}

function modifiedAt(file: string): number {
  try {
    return statSync(file).mtimeMs;
  } catch {
    return 0; // not written yet
  }
}
