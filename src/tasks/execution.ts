import type { Delivery } from '../ports/broker.js';
import type { Outcome } from '../ports/store.js';
import { sleep } from '../util/deadline.js';
import { encode, HEADERS, type Envelope } from './core/envelope.js';
import { InvalidInput, storedError, Unrecoverable } from './core/errors.js';
import { jsonText } from './core/json.js';
import { retryDelay } from './core/retry.js';
import { check } from './core/schema.js';
import { deadQueueName, routeTo } from './core/topology.js';
import type { TaskDefinition, TaskLogger } from './core/definition.js';
import { invoke } from './invoke.js';
import { persist } from './persist.js';
import type { Runtime } from './runtime.js';
import type { Slot } from './slots.js';

/** How one delivery ended for this worker. */
export type Ended = 'done' | 'failed' | 'retried' | 'skipped' | 'returned';

export interface Execution {
  readonly envelope: Envelope;
  readonly definition: TaskDefinition;
  readonly input: unknown;
  /** Every delivery of this very run: more than one after a reconnect or a duplicate publish. */
  readonly deliveries: Delivery[];
  readonly worker: string;
  readonly log: TaskLogger;
  readonly slot: Slot;
  /** Aborted when the worker wants its handlers to end. */
  readonly stop: AbortSignal;
  /** Aborted when what is still unsettled must go back at once. */
  readonly giveUp: AbortSignal;
  /** Tells that the handler is about to be called. */
  onStart(): void;
  /** Tells that store or broker are waited for, and null when no more. */
  onHeld(reason: string | null): void;
}

/** A result is read back over the store's wire in one piece, bytes. */
const MAX_RESULT_BYTES = 4 * 1_048_576;
/** Shorter delays are waited for here: the ladder counts in seconds. */
const LOCAL_HOLD_MS = 1000;
const MAX_HEADER_TEXT = 2000;

/** Carries one delivery to its end: begin, run, store the outcome, and only then acknowledge. */
export async function execute(runtime: Runtime, run: Execution): Promise<Ended> {
  try {
    return await attempt(runtime, run);
  } catch (error) {
    // Only giving up gets here: everything else is an outcome.
    if (!run.giveUp.aborted) throw error;
    return giveBack(runtime, run);
  }
}

async function attempt(runtime: Runtime, run: Execution): Promise<Ended> {
  const { envelope, definition, worker } = run;
  const { id } = envelope;
  const begun = await persist(
    `begin ${definition.name}`,
    () => runtime.store.begin({ id, task: definition.name, attempt: envelope.attempt, worker }),
    run,
  );
  switch (begun.kind) {
    case 'settled':
    case 'stale':
      settle(run);
      return 'skipped';
    case 'retried':
      run.slot.share();
      await again(runtime, run, begun.dueAt - Date.now());
      return 'retried';
    case 'run':
      break;
  }
  if (begun.crashes >= definition.maxCrashes) {
    const error = new Error(`its worker died ${begun.crashes} times while running it`);
    run.log.error(`task ${definition.name} is dead: ${error.message}`, { task: definition.name, id });
    return bury(runtime, run, 'DEAD', 'crashed', error);
  }
  if (begun.crashes === 0) run.slot.share();
  run.onStart();
  const input = await check(definition.schema, run.input);
  if (!input.ok) {
    const error = new InvalidInput(definition.name, input.issues);
    run.log.error(error.message, { task: definition.name, id });
    return bury(runtime, run, 'FAILURE', 'invalid-input', error);
  }
  let result: string;
  try {
    result = jsonOf(await invoke({ ...run, input: input.value, id, attempt: envelope.attempt }));
  } catch (error) {
    return run.stop.aborted ? giveBack(runtime, run) : failed(runtime, run, error);
  }
  await finish(runtime, run, { state: 'SUCCESS', result, error: null, ttlMs: definition.resultTtlMs });
  settle(run);
  return 'done';
}

function jsonOf(value: unknown): string {
  let text: string | undefined;
  try {
    text = jsonText(value ?? null);
  } catch (error) {
    throw new Unrecoverable('the result cannot be written as JSON', { cause: error });
  }
  if (text === undefined) throw new Unrecoverable('the result cannot be written as JSON');
  if (Buffer.byteLength(text) > MAX_RESULT_BYTES) {
    throw new Unrecoverable(`the result is longer than ${MAX_RESULT_BYTES} bytes: store it and return its id`);
  }
  return text;
}

async function failed(runtime: Runtime, run: Execution, error: unknown): Promise<Ended> {
  const { definition, envelope } = run;
  const { retry, name } = definition;
  const last = envelope.attempt >= retry.maxAttempts;
  const stored = storedError(error);
  const fields = { err: error, task: name, id: envelope.id, attempt: envelope.attempt };
  const which = `attempt ${envelope.attempt} of ${retry.maxAttempts}`;
  run.slot.share();
  if (last || error instanceof Unrecoverable || !isWorthRetrying(retry.when, error)) {
    run.log.error(`task ${name} failed (${which}): ${stored.message}`, fields);
    return bury(runtime, run, 'FAILURE', last ? 'attempts-exhausted' : 'not-retryable', error);
  }
  const delayMs = retryDelay(retry, envelope.attempt, Math.random());
  run.log.warn(`task ${name} failed (${which}), again in ${delayMs} ms: ${stored.message}`, fields);
  const recorded = await persist(
    `record the retry of ${name}`,
    () => runtime.store.retry(envelope.id, envelope.attempt, stored, Date.now() + delayMs),
    run,
  );
  if (!recorded) {
    // Overtaken by another run of this task: whatever that one does counts.
    settle(run);
    return 'skipped';
  }
  await again(runtime, run, delayMs);
  return 'retried';
}

function isWorthRetrying(when: (error: unknown) => boolean, error: unknown): boolean {
  try {
    return when(error);
  } catch {
    return false; // a broken `when` must not turn one failure into endless ones
  }
}

/** Publishes the next attempt, then acknowledges this one. Without a live delivery the redelivery of this one will do it. */
async function again(runtime: Runtime, run: Execution, delayMs: number): Promise<void> {
  if (!isAlive(run)) return;
  let rest = Math.max(0, delayMs);
  if (rest < LOCAL_HOLD_MS) {
    const start = performance.now();
    await sleep(rest, run.stop).catch(() => undefined);
    rest = Math.max(0, rest - (performance.now() - start));
  }
  const next = encode({ ...run.envelope, attempt: run.envelope.attempt + 1 });
  const route = routeTo(runtime.namespace, run.definition.queue, Math.round(rest));
  await persist(
    `republish ${run.definition.name}`,
    () => runtime.broker.publish(route, next, { timeoutMs: runtime.publishTimeoutMs }),
    run,
  );
  settle(run);
}

/** The dead queue first, then the outcome, then the ack: a crash in between repeats, it never forgets. */
async function bury(
  runtime: Runtime,
  run: Execution,
  state: 'FAILURE' | 'DEAD',
  reason: string,
  error: unknown,
): Promise<Ended> {
  const stored = storedError(error);
  if (!isAlive(run)) return giveBack(runtime, run);
  const message = encode(run.envelope, {
    [HEADERS.reason]: reason,
    [HEADERS.error]: stored.message.slice(0, MAX_HEADER_TEXT),
  });
  const route = { exchange: '', key: deadQueueName(runtime.namespace, run.definition.queue) };
  await persist(
    `bury ${run.definition.name}`,
    () => runtime.broker.publish(route, message, { timeoutMs: runtime.publishTimeoutMs }),
    run,
  );
  await finish(runtime, run, { state, result: null, error: stored, ttlMs: run.definition.resultTtlMs });
  settle(run);
  return 'failed';
}

async function finish(runtime: Runtime, run: Execution, outcome: Outcome): Promise<void> {
  const { envelope, definition, worker } = run;
  const stored = await persist(
    `store the outcome of ${definition.name}`,
    () => runtime.store.finish({ id: envelope.id, task: definition.name, attempt: envelope.attempt, worker }, outcome),
    run,
  );
  if (!stored) run.log.debug(`outcome of ${definition.name} not recorded: it has one, or a later attempt has begun`);
}

function isAlive(run: Execution): boolean {
  return run.deliveries.some((delivery) => delivery.alive);
}

function settle(run: Execution): void {
  for (const delivery of run.deliveries) delivery.ack();
}

/** Released before the requeue: the next worker must not find a run that looks lost. */
async function giveBack(runtime: Runtime, run: Execution): Promise<Ended> {
  if (isAlive(run)) await runtime.store.release([run.envelope.id]).catch(() => undefined);
  for (const delivery of run.deliveries) delivery.requeue();
  return 'returned';
}
