import { FailureError, type Failure } from '../model/failure.js';
import type { JournalRecord } from '../model/journal.js';
import type { ProcessManager } from '../ports/process-manager.js';
import { statOf } from '../host/proc.js';
import type { RunContext } from './context.js';
import { codeOf } from '../util/errors.js';
import type { Layout } from '../util/layout.js';
import { forkGraceMs } from './forks.js';
import { isStopped, KEEPER, PM2_DAEMON } from './helpers.js';
import { livingRecord, livingRecords } from './processes.js';
import { readStackFile, writeStackFile, type StackFile } from './stack-file.js';
import { clearRunDir } from './state-dir.js';
import {
  DEFAULT_GRACE_MS,
  removeFork,
  stopEngine,
  stopFork,
  stopHelper,
  sweepStrays,
  type StopOptions,
} from './stop-unit.js';

export interface DownOutcome {
  /** False when nothing ran. */
  readonly ran: boolean;
  readonly failure: Failure | null;
}

const HELPER_GRACE_MS = 3000;

/**
 * Stops the stack in reverse order: web, workers, keeper, PM2's daemon, rabbitmq, mongod. Works from the journal alone, so it needs
 * neither the config nor a living keeper or daemon.
 */
export async function runDown(context: RunContext, hurry: AbortSignal): Promise<DownOutcome> {
  const { layout, emit } = context;
  const stack = readStackFile(layout);
  const records = livingRecords(layout);
  const ran = records.length > 0;
  if (stack) announceStop(layout, stack);
  const optionsFor = (unit: string): StopOptions => ({
    hurry,
    onProgress: (text) => emit({ type: 'step-progress', unit, text }),
  });
  const failures: Failure[] = [];
  const step = async (unit: string, waiting: string, work: () => Promise<string>): Promise<void> => {
    const started = performance.now();
    emit({ type: 'step-start', unit, text: waiting });
    try {
      const text = await work();
      emit({
        type: 'step-done',
        unit,
        text,
        address: null,
        engine: null,
        durationMs: performance.now() - started,
        changed: true,
      });
    } catch (error) {
      // One unit that cannot be stopped is no reason to leave the others running.
      if (!(error instanceof FailureError)) throw error;
      failures.push({ ...error.failure, unit });
      emit({ type: 'step-failed', unit, failure: error.failure });
    }
  };

  // The keeper first: it must not bring back what is being stopped. It would see the lock, too.
  const manager = await connectIfAlive(context, optionsFor(PM2_DAEMON));
  await removeFork(layout, manager, KEEPER, HELPER_GRACE_MS, optionsFor(KEEPER));
  await stopHelper(layout, KEEPER, HELPER_GRACE_MS, optionsFor(KEEPER));
  for (const unit of forkedUnits(records)) {
    await step(unit, 'draining', () => stopFork(layout, manager, unit, graceOf(stack, unit), optionsFor(unit)));
  }
  manager?.disconnect();
  await stopHelper(layout, PM2_DAEMON, HELPER_GRACE_MS, optionsFor(PM2_DAEMON));
  for (const unit of ['rabbitmq', 'mongodb'] as const) {
    const record = livingRecord(layout, unit);
    const { stop } = context.registry[unit];
    if (record) {
      const engine = stack?.settings[unit];
      const embedded = record.engine === 'embedded';
      const waiting = embedded || !engine ? 'stopping' : explainStop(context, unit, stack);
      await step(unit, waiting, async () => {
        if (!embedded) emit({ type: 'step-progress', unit, text: waiting });
        const outcome = await stopEngine(
          layout,
          unit,
          embedded ? { signal: 'SIGTERM', graceMs: 10_000 } : stop,
          optionsFor(unit),
        );
        const { helperPrograms } = context.registry[unit];
        await sweepStrays(layout, optionsFor(unit), (pid) => !helperPrograms.includes(statOf(pid)?.comm ?? ''));
        return outcome === 'killed' ? `had to be killed after ${stop.graceMs / 1000} s` : 'stopped cleanly, data kept';
      });
    } else if (
      stack?.units.some((one) => one.name === unit && (one.engine === 'adopted' || one.engine === 'external'))
    ) {
      emit({ type: 'note', text: `${unit} is not memt's own: left running` });
    }
  }
  const strays = await sweepStrays(layout, optionsFor('strays'));
  if (strays > 0)
    emit({
      type: 'note',
      text: `${strays} ${ran ? 'more ' : ''}${strays === 1 ? 'process' : 'processes'} of this stack stopped`,
    });
  const survivors = livingRecords(layout);
  const [failure = survivors.length > 0 ? survived(survivors) : null] = failures;
  if (failure) return { ran, failure };
  clearRunDir(layout);
  return { ran: ran || strays > 0, failure: null };
}

/** For whoever asks meanwhile; a full disk must not keep a stack from being stopped. */
function announceStop(layout: Layout, stack: StackFile): void {
  try {
    writeStackFile(layout, { ...stack, phase: 'stopping', since: Date.now() });
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
  }
}

/** Null when no daemon runs. One that hangs is killed, so that it starts nothing again: its processes are then stopped by pid. */
async function connectIfAlive(context: RunContext, options: StopOptions): Promise<ProcessManager | null> {
  const { layout } = context;
  const daemon = livingRecord(layout, PM2_DAEMON);
  if (!daemon || daemon.pid === null) return null;
  try {
    if (!isStopped(daemon.pid) && !options.hurry.aborted) {
      const manager = await context.processManager();
      await manager.connect();
      return manager;
    }
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
  }
  context.emit({
    type: 'note',
    text: "PM2's daemon does not answer: killed, and its processes are stopped one by one",
  });
  await stopHelper(layout, PM2_DAEMON, 0, options);
  return null;
}

/** Web first, then workers: the reverse of the order in which they depend on each other. */
function forkedUnits(records: readonly JournalRecord[]): string[] {
  const units = (role: string): string[] =>
    records.filter((record) => record.role === role).map((record) => record.unit);
  return [...new Set([...units('web'), ...units('web-instance'), ...units('worker')])];
}

function graceOf(stack: StackFile | null, unit: string): number {
  const known =
    stack && (unit === 'web' ? stack.settings.web : stack.settings.workers.find((worker) => worker.name === unit));
  return stack && known ? forkGraceMs(stack.settings, unit) : DEFAULT_GRACE_MS;
}

function explainStop(context: RunContext, unit: 'mongodb' | 'rabbitmq', stack: StackFile | null): string {
  const { mongodb, rabbitmq } = stack?.settings ?? {};
  if (unit === 'mongodb') return mongodb ? context.registry.mongodb.stop.explain(mongodb) : 'stopping';
  return rabbitmq ? context.registry.rabbitmq.stop.explain(rabbitmq) : 'stopping';
}

function survived(records: readonly JournalRecord[]): Failure {
  const names = records.map((record) => `${record.instance} (pid ${record.pid ?? '?'})`).join(', ');
  return {
    kind: 'stop-failed',
    what: `still running after SIGKILL: ${names}`,
    cause: 'A process in uninterruptible sleep (state D) waits for a disk or network file system',
    mend: 'Look at it with: cat /proc/<pid>/status, then: memt down',
  };
}
