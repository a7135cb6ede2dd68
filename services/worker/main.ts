import { loadAmqplib } from '../../src/adapters/amqplib.js';
import { loadMongodb } from '../../src/adapters/mongodb.js';
import { bootChild } from '../../src/child/boot.js';
import type { Failure } from '../../src/model/failure.js';
import type { WorkerSettings } from '../../src/model/settings.js';
import type { ChildStatus } from '../../src/model/status.js';
import type { App } from '../../src/tasks/app.js';
import type { Drained, Worker, WorkerStatus } from '../../src/tasks/worker.js';
import { asError } from '../../src/util/errors.js';
import { loadTasks } from './load-tasks.js';

/** Part of the graceful timeout that is kept for aborting and returning what did not finish, ms. */
const ABORT_RESERVE_MS = 1000;
const EXIT_ON = { SIGINT: 130, SIGTERM: 143 } as const;

const child = await bootChild('worker');
const { log } = child;
const settings = child.launch.settings as WorkerSettings;

/** A process that has failed, or is drained, waits for its signal: with nothing to do it would end and be started again. */
setInterval(() => undefined, 60_000);

let waiting = true;
let failure: Failure | null = null;
let app: App | null = null;
let worker: Worker | null = null;
/** It has consumed once: from then on the lack of a broker is a trouble, not a start. */
let proven = false;
let draining: Promise<Drained> | null = null;
let drained: Drained | null = null;

function status(): ChildStatus {
  const seen = worker?.status();
  if (seen?.consuming) proven = true;
  const [state, reason] = stateOf(seen);
  return {
    state,
    reason,
    failure,
    waiting,
    ports: [],
    instances: [],
    facts: {
      consuming: seen?.consuming ?? false,
      running: seen?.running ?? 0,
      done: seen?.done ?? 0,
      failed: seen?.failed ?? 0,
      retried: seen?.retried ?? 0,
      queue: seen?.queues.join(', ') ?? null,
      ready: seen?.ready ?? null,
    },
  };
}

function stateOf(seen: WorkerStatus | undefined): readonly [ChildStatus['state'], string | null] {
  if (failure) return ['failed', failure.what];
  if (drained) return ['stopped', 'drained'];
  if (draining) return ['draining', 'finishing the running tasks'];
  if (waiting) return ['starting', 'waiting for what it depends on'];
  if (seen === undefined) return ['starting', 'importing the tasks'];
  if (!seen.consuming) return [proven ? 'degraded' : 'starting', `not consuming: ${seen.reason ?? 'no reason known'}`];
  return seen.heldBy === null ? ['healthy', null] : ['degraded', `${seen.held} tasks held: ${seen.heldBy}`];
}

/** Stops taking tasks and finishes what runs; the process stays, idle, until a signal ends it. */
function drain(): Promise<Drained> {
  draining ??= (async () => {
    const graceMs = Math.max(settings.gracefulTimeoutMs - ABORT_RESERVE_MS, settings.gracefulTimeoutMs / 2);
    drained = (await worker?.stop(graceMs)) ?? { finished: 0, returned: 0 };
    const { finished, returned } = drained;
    log.info(`worker drained: ${finished} finished, ${returned} returned`, { finished, returned });
    return drained;
  })();
  return draining;
}

async function shutDown(): Promise<void> {
  await drain();
  await app?.close();
  await child.control.close();
  process.exit(0);
}

let signals = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    signals += 1;
    if (signals > 1) process.exit(EXIT_ON[signal]);
    shutDown().catch((error: unknown) => {
      log.error('the worker could not stop in order', { err: asError(error) });
      process.exit(1);
    });
  });
}
// The death of PM2's daemon must not end us: our outcome is in the store and our queue in the broker.
process.on('disconnect', () => log.warn("PM2's daemon is gone, working on"));
process.channel?.unref();

/**
 * What the tasks module leaves behind without a catch: while it is loaded, that is its failure, to be read and not to be
 * repeated by restarts; afterwards it ends the process as ever, and its tasks run again elsewhere.
 */
process.on('unhandledRejection', (reason) => {
  if (worker !== null) throw reason;
  failure ??= {
    kind: 'entry-throws',
    unit: child.launch.unit,
    what: `a promise was rejected while the tasks were loaded, and nobody caught it: ${asError(reason).message}`,
  };
  log.error(failure.what, { err: reason });
});

child.control.handle('status', status);
child.control.handle('drain', drain);

async function start(): Promise<void> {
  // Loaded while the engines still boot: the application finds them in the module cache.
  await Promise.all([loadAmqplib(), loadMongodb()]);
  await child.gate();
  waiting = false;
  const loaded = await loadTasks(settings, child.launch.root);
  if (!loaded.ok) {
    failure = { ...loaded.failure, unit: child.launch.unit };
    log.error(failure.what, { kind: failure.kind, ...(failure.mend === undefined ? {} : { mend: failure.mend }) });
    return;
  }
  app = loaded.value;
  // Asked to stop, or broken, while importing.
  if (draining !== null || failure !== null) return;
  worker = app.worker({ concurrency: settings.concurrency, log });
  worker.start().then(
    () => {
      proven = true;
      log.info(`worker consuming ${worker?.status().queues.join(', ') ?? ''}, concurrency ${settings.concurrency}`);
    },
    (error: unknown) => log.warn(`not consuming yet, trying on: ${asError(error).message}`),
  );
}

// Whatever is wrong with the tasks would be as wrong after a restart: it stays, so that `up` can read why.
await start().catch((error: unknown) => {
  failure = {
    kind: 'entry-throws',
    unit: child.launch.unit,
    what: `the worker could not start: ${asError(error).message}`,
  };
  log.error(failure.what, { err: asError(error) });
});
