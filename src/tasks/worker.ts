import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Delivery, Subscription } from '../ports/broker.js';
import { sleep, withDeadline } from '../util/deadline.js';
import { asError } from '../util/errors.js';
import { WorkerStopping } from './core/errors.js';
import { decode, encode, HEADERS, isId, type Envelope } from './core/envelope.js';
import type { TaskDefinition, TaskLogger } from './core/definition.js';
import { deadQueueName, queueName } from './core/topology.js';
import { execute, type Ended } from './execution.js';
import { persist } from './persist.js';
import type { Runtime } from './runtime.js';
import { Slots } from './slots.js';

export interface WorkerStatus {
  /** True while the broker delivers every queue to this worker. */
  readonly consuming: boolean;
  /** Why not; null when it is. */
  readonly reason: string | null;
  readonly queues: readonly string[];
  /** Messages ready in those queues at the last look. */
  readonly ready: number | null;
  readonly running: number;
  /** Tasks that wait for the store or the broker, and why. */
  readonly held: number;
  readonly heldBy: string | null;
  readonly done: number;
  readonly failed: number;
  readonly retried: number;
}

export interface Drained {
  /** Tasks that ended while the worker was stopping. */
  readonly finished: number;
  /** Tasks that went back to their queues. */
  readonly returned: number;
}

interface Running {
  readonly envelope: Envelope;
  readonly deliveries: Delivery[];
  started: boolean;
  /** The store was told that this run has no delivery any more. */
  released: boolean;
}

/** Handlers that ignore their aborted signal are left behind after this, ms. */
const ABORT_MS = 1000;
const FIRST_CONSUME_POLL_MS = 20;

/** Consumes queues and runs their tasks, `concurrency` at once. */
export class Worker {
  readonly #slots: Slots;
  readonly #subscriptions: Subscription[] = [];
  readonly #running = new Map<string, Running>();
  readonly #executions = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #giveUp = new AbortController();
  readonly #name = `${hostname()}:${process.pid}`;
  readonly #counts = { done: 0, failed: 0, retried: 0, skipped: 0, returned: 0 };
  readonly #held = new Map<object, string>();
  #stopping: Promise<Drained> | null = null;

  constructor(
    private readonly runtime: Runtime,
    private readonly options: {
      readonly queues: readonly string[];
      readonly concurrency: number;
      readonly graceMs: number;
      readonly log: TaskLogger;
    },
  ) {
    this.#slots = new Slots(options.concurrency);
  }

  /**
   * Resolves when the broker delivers to this worker for the first time. Consuming goes on, and comes back after every
   * loss of the broker, until `stop`, also when this rejects.
   * @throws DeadlineError when that takes longer than `timeoutMs` (default 30 s)
   */
  async start(timeoutMs = 30_000): Promise<void> {
    if (this.#subscriptions.length === 0 && this.#stopping === null) {
      for (const queue of this.options.queues) {
        this.#subscriptions.push(
          this.runtime.broker.consume({
            queue: queueName(this.runtime.namespace, queue),
            prefetch: this.options.concurrency,
            onDelivery: (delivery) => this.#receive(queue, delivery),
            onLost: () => void this.#detach(),
          }),
        );
      }
    }
    const until = performance.now() + timeoutMs;
    while (!this.status().consuming && this.#stopping === null) {
      if (performance.now() > until) {
        await withDeadline(new Promise(() => undefined), 0, `consume (${this.status().reason ?? 'no reason known'})`);
      }
      await sleep(FIRST_CONSUME_POLL_MS);
    }
  }

  status(): WorkerStatus {
    const consuming = this.#subscriptions.length > 0 && this.#subscriptions.every((one) => one.consuming);
    const depths = this.#subscriptions.map((one) => one.depth);
    const reason = this.#stopping
      ? 'stopping'
      : (this.runtime.broker.health().reason ?? 'the broker has not confirmed yet');
    return {
      consuming,
      reason: consuming ? null : reason,
      queues: this.options.queues,
      ready: depths.every((depth) => depth !== null) ? depths.reduce((sum, depth) => sum + depth, 0) : null,
      running: this.#slots.active,
      held: this.#held.size,
      heldBy: [...this.#held.values()].at(-1) ?? null,
      done: this.#counts.done,
      failed: this.#counts.failed,
      retried: this.#counts.retried,
    };
  }

  /**
   * Stops consuming, gives tasks that have not started back, lets the running ones finish within `graceMs`, then aborts
   * their signals and gives the rest back. Every call gives the result of the first.
   */
  stop(graceMs = this.options.graceMs): Promise<Drained> {
    this.#stopping ??= this.#drain(graceMs);
    return this.#stopping;
  }

  async #drain(graceMs: number): Promise<Drained> {
    const before = { ...this.#counts };
    this.#slots.close();
    await Promise.all(this.#subscriptions.map((one) => one.cancel()));
    if (!(await this.#settled(graceMs))) {
      this.#stop.abort(new WorkerStopping());
      if (!(await this.#settled(ABORT_MS))) {
        this.#giveUp.abort(new WorkerStopping());
        await this.#settled(ABORT_MS);
      }
    }
    const left = [...this.#running.values()];
    const started = left.filter((one) => one.started && !one.released).map((one) => one.envelope.id);
    if (started.length > 0) await this.runtime.store.release(started).catch(() => undefined);
    const requeued = left.filter((one) => one.deliveries.filter((delivery) => delivery.requeue()).length > 0).length;
    const ended = (key: 'done' | 'failed' | 'retried' | 'returned'): number => this.#counts[key] - before[key];
    return {
      finished: ended('done') + ended('failed') + ended('retried'),
      returned: ended('returned') + requeued,
    };
  }

  /** True when every execution has ended within `ms`. */
  async #settled(ms: number): Promise<boolean> {
    const all = Promise.all(this.#executions).then(() => true);
    return this.#executions.size === 0 || withDeadline(all, ms, 'tasks').catch(() => false);
  }

  #receive(queue: string, delivery: Delivery): void {
    const execution = this.#handle(queue, delivery).catch(async (error: unknown) => {
      this.options.log.error('a delivery could not be handled, it goes back to its queue', { err: asError(error) });
      // Not at once: what fails without a reason that is known would spin.
      await sleep(1000, this.#stop.signal).catch(() => undefined);
      delivery.requeue();
    });
    this.#executions.add(execution);
    void execution.finally(() => this.#executions.delete(execution));
  }

  async #handle(queue: string, delivery: Delivery): Promise<void> {
    const decoded = decode(delivery.message);
    if (!decoded.ok) return this.#refuse(queue, delivery, 'malformed', decoded.reason);
    const { envelope, input } = decoded;
    const definition = this.runtime.find(envelope.task);
    if (!definition) {
      return this.#refuse(queue, delivery, 'unknown-task', `this worker has no task ${envelope.task}`, envelope);
    }
    const key = `${envelope.attempt} ${envelope.id}`;
    const here = this.#running.get(key);
    if (here) return this.#adopt(here, delivery, definition);
    const running: Running = { envelope, deliveries: [delivery], started: false, released: false };
    this.#running.set(key, running);
    try {
      this.#counts[await this.#run(running, delivery, definition, input)] += 1;
    } finally {
      this.#running.delete(key);
    }
  }

  async #run(running: Running, delivery: Delivery, definition: TaskDefinition, input: unknown): Promise<Ended> {
    // Handed out before, and not settled: perhaps its worker died of it.
    const slot = await this.#slots.acquire(delivery.redelivered);
    if (slot === null) {
      for (const one of running.deliveries) one.requeue();
      return 'returned';
    }
    const { envelope } = running;
    try {
      return await execute(this.runtime, {
        envelope,
        definition,
        input,
        deliveries: running.deliveries,
        worker: this.#name,
        log: withFields(this.options.log, { task: definition.name, id: envelope.id, attempt: envelope.attempt }),
        slot,
        stop: this.#stop.signal,
        giveUp: this.#giveUp.signal,
        onStart: () => (running.started = true),
        onHeld: (reason) => this.#hold(running, reason),
      });
    } finally {
      this.#held.delete(running);
      slot.release();
    }
  }

  #hold(key: object, reason: string | null): void {
    if (reason === null) this.#held.delete(key);
    else this.#held.set(key, reason);
  }

  /** The same run, handed out again while it still runs here: its end settles this delivery, too. */
  async #adopt(running: Running, delivery: Delivery, definition: TaskDefinition): Promise<void> {
    running.deliveries.push(delivery);
    if (!running.released) return;
    running.released = false;
    const { id, attempt } = running.envelope;
    await this.runtime.store.begin({ id, attempt, task: definition.name, worker: this.#name }).catch(() => undefined);
  }

  /** The connection is gone, the handlers go on: the redelivery of their tasks elsewhere must not look like a crash. */
  async #detach(): Promise<void> {
    const lost = [...this.#running.values()].filter((one) => one.started && !one.released);
    if (lost.length === 0) return;
    this.options.log.warn(`the broker is gone, ${lost.length} running tasks go on`);
    for (const one of lost) one.released = true;
    try {
      await this.runtime.store.release(lost.map((one) => one.envelope.id));
    } catch {
      for (const one of lost) one.released = false;
    }
  }

  /** What can never run goes to the dead queue with its reason; when it has an id, whoever waits for it is told. */
  async #refuse(queue: string, delivery: Delivery, reason: string, why: string, envelope?: Envelope): Promise<void> {
    const { message } = delivery;
    const id = isId(message.id) ? message.id : randomUUID();
    this.options.log.error(`message refused: ${why}`, { queue, id, task: message.type });
    const original = envelope ?? {
      id,
      task: message.type ?? '',
      attempt: 1,
      enqueuedAt: Date.now(),
      body: message.body,
    };
    const route = { exchange: '', key: deadQueueName(this.runtime.namespace, queue) };
    const dead = encode(original, { [HEADERS.reason]: reason, [HEADERS.error]: why });
    const options = {
      giveUp: this.#giveUp.signal,
      log: this.options.log,
      onHeld: (held: string | null) => this.#hold(delivery, held),
    };
    try {
      await persist(
        'bury a message',
        () => this.runtime.broker.publish(route, dead, { timeoutMs: this.runtime.publishTimeoutMs }),
        options,
      );
      const error = { name: 'Refused', message: why, stack: null };
      const run = { id, task: original.task, attempt: original.attempt, worker: this.#name };
      const outcome = { state: 'DEAD', result: null, error, ttlMs: 86_400_000 } as const;
      await persist('store an outcome', () => this.runtime.store.finish(run, outcome), options);
    } catch (failure) {
      if (!this.#giveUp.signal.aborted) throw failure;
      delivery.requeue();
      return;
    } finally {
      this.#held.delete(delivery);
    }
    delivery.ack();
    this.#counts.failed += 1;
  }
}

function withFields(log: TaskLogger, always: { readonly [key: string]: unknown }): TaskLogger {
  return {
    debug: (text, fields) => log.debug(text, { ...always, ...fields }),
    info: (text, fields) => log.info(text, { ...always, ...fields }),
    warn: (text, fields) => log.warn(text, { ...always, ...fields }),
    error: (text, fields) => log.error(text, { ...always, ...fields }),
  };
}
