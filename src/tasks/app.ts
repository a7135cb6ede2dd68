import { randomUUID } from 'node:crypto';
import type { Broker } from '../ports/broker.js';
import type { Store } from '../ports/store.js';
import { parseDuration } from '../util/duration.js';
import {
  compileTask,
  type Duration,
  type TaskDefinition,
  type TaskHandler,
  type TaskLogger,
  type TaskOptions,
} from './core/definition.js';
import { encode, isId, MAX_BODY_BYTES } from './core/envelope.js';
import { InvalidInput } from './core/errors.js';
import { jsonText } from './core/json.js';
import { check } from './core/schema.js';
import { MAX_DELAY_MS, NAME_PATTERN, routeTo, topologyOf } from './core/topology.js';
import { consoleLog } from './console-log.js';
import { TaskHandle } from './handle.js';
import { invoke } from './invoke.js';
import type { Runtime } from './runtime.js';
import { Worker } from './worker.js';

export interface AppOptions {
  /** Default: the variable RABBITMQ_URL when it is first needed, else `amqp://127.0.0.1:5672`. */
  readonly broker?: string;
  /** Default: the variable MONGODB_URI when it is first needed, else `mongodb://127.0.0.1:27017`. */
  readonly store?: string;
  /** Keeps applications that share a broker apart. Default: the database in the store's URI, else `memt`. */
  readonly namespace?: string;
  /** How long `enqueue` may take. Default `5s`. */
  readonly publishTimeout?: Duration;
  readonly log?: TaskLogger;
}

export interface EnqueueOptions {
  /** Default: a random one. A task whose id has an outcome already is not run again. */
  readonly id?: string;
  /** Not before this has passed; up to 68 minutes. */
  readonly delay?: Duration;
}

export interface WorkerOptions {
  /** Default: every queue that has a task. */
  readonly queues?: readonly string[];
  /** Tasks at once. Default 10. */
  readonly concurrency?: number;
  /** How long running tasks may take to finish when the worker stops. Default `25s`. */
  readonly grace?: Duration;
  readonly log?: TaskLogger;
}

/** What an application is made of: the composition root gives it, tests give memory ones. */
export interface Engines {
  broker(url: string | undefined): Broker;
  store(uri: string | undefined, namespace: string): Store;
  /** Database named in the store's URI. */
  namespace(uri: string | undefined): string | null;
}

/** Marks an App for whoever searches a module's exports: the user's copy of memt may be another than the worker's. */
export const APP_MARK: unique symbol = Symbol.for('memt.app');
/** Marks a Task; its value is the App. */
export const TASK_MARK: unique symbol = Symbol.for('memt.task');

export class Task<In, Result> {
  constructor(
    readonly definition: TaskDefinition,
    private readonly app: App,
  ) {}

  get name(): string {
    return this.definition.name;
  }

  get [TASK_MARK](): App {
    return this.app;
  }

  /** `enqueue` without options. */
  delay(input: In): Promise<TaskHandle<Result>> {
    return this.enqueue(input);
  }

  /**
   * Resolves when the broker has stored and routed the message.
   * @throws InvalidInput, BrokerUnavailable (within `publishTimeout`), BrokerBlocked, QueueFull, Unroutable
   */
  async enqueue(input: In, options: EnqueueOptions = {}): Promise<TaskHandle<Result>> {
    const { definition } = this;
    const id = options.id ?? randomUUID();
    if (!isId(id)) throw new TypeError('id must be printable text of at most 200 bytes');
    const delayMs = parseDuration(options.delay ?? 0);
    if (delayMs === undefined || delayMs > MAX_DELAY_MS) {
      throw new RangeError(
        `delay must be a duration of at most ${MAX_DELAY_MS / 1000} s, not ${JSON.stringify(options.delay)}`,
      );
    }
    const checked = await check(definition.schema, input);
    if (!checked.ok) throw new InvalidInput(definition.name, checked.issues);
    const body = bodyOf(definition.name, input);
    const { broker, namespace, publishTimeoutMs } = this.app.runtime();
    const message = encode({ id, task: definition.name, attempt: 1, enqueuedAt: Date.now(), body });
    await broker.publish(routeTo(namespace, definition.queue, delayMs), message, { timeoutMs: publishTimeoutMs });
    return new TaskHandle<Result>(id, () => this.app.runtime().store, true);
  }

  /** Runs it here and now, checked and limited as in a worker; nothing is sent, stored or retried. */
  async run(input: In, options: { readonly id?: string; readonly signal?: AbortSignal } = {}): Promise<Result> {
    const { definition } = this;
    const checked = await check(definition.schema, input);
    if (!checked.ok) throw new InvalidInput(definition.name, checked.issues);
    return (await invoke({
      definition,
      input: checked.value,
      id: options.id ?? randomUUID(),
      attempt: 1,
      log: this.app.log,
      stop: options.signal ?? new AbortController().signal,
    })) as Result;
  }
}

export class App {
  readonly [APP_MARK] = 1;
  readonly log: TaskLogger;
  readonly #tasks = new Map<string, TaskDefinition>();
  #runtime: Runtime | null = null;

  constructor(
    private readonly options: AppOptions,
    private readonly engines: Engines,
  ) {
    if (options.namespace !== undefined && !NAME_PATTERN.test(options.namespace)) {
      throw new TypeError(`namespace ${JSON.stringify(options.namespace)} may hold letters, digits, _ and - only`);
    }
    this.log = options.log ?? consoleLog;
  }

  /** Names of the tasks. */
  get tasks(): readonly string[] {
    return [...this.#tasks.keys()];
  }

  /** @throws TypeError for options that cannot be, or a name that is taken */
  task<In = unknown, Result = unknown>(name: string, handler: TaskHandler<In, Result>): Task<In, Awaited<Result>>;
  task<In = unknown, Result = unknown>(
    name: string,
    options: TaskOptions<In, In> & { readonly input?: undefined },
    handler: TaskHandler<In, Result>,
  ): Task<In, Awaited<Result>>;
  task<In = unknown, Out = In, Result = unknown>(
    name: string,
    options: TaskOptions<In, Out>,
    handler: TaskHandler<Out, Result>,
  ): Task<In, Awaited<Result>>;
  task<In, Out, Result>(
    name: string,
    second: TaskOptions<In, Out> | TaskHandler<Out, Result>,
    third?: TaskHandler<Out, Result>,
  ): Task<In, Awaited<Result>> {
    const [options, handler] = typeof second === 'function' ? [{}, second] : [second, third];
    const definition = compileTask(name, options as TaskOptions<never, never>, handler as TaskHandler<never, unknown>);
    if (this.#tasks.has(name)) throw new TypeError(`task ${JSON.stringify(name)} is defined twice`);
    this.#tasks.set(name, definition);
    this.#runtime?.broker.declare(topologyOf(this.#runtime.namespace, [definition.queue]));
    return new Task<In, Awaited<Result>>(definition, this);
  }

  /** The handle of a task that was enqueued anywhere. */
  handle<Result = unknown>(id: string): TaskHandle<Result> {
    return new TaskHandle<Result>(id, () => this.runtime().store, false);
  }

  worker(options: WorkerOptions = {}): Worker {
    const concurrency = options.concurrency ?? 10;
    if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > 10_000) {
      throw new RangeError(`concurrency must be a whole number from 1 to 10000, not ${concurrency}`);
    }
    const graceMs = parseDuration(options.grace ?? '25s');
    if (graceMs === undefined) throw new RangeError(`grace is no duration: ${JSON.stringify(options.grace)}`);
    const queues = options.queues ?? this.#queues();
    const runtime = this.runtime();
    runtime.broker.declare(topologyOf(runtime.namespace, queues));
    return new Worker(runtime, { queues, concurrency, graceMs, log: options.log ?? this.log });
  }

  /** Ends the connections. Workers must be stopped first. */
  async close(): Promise<void> {
    const runtime = this.#runtime;
    this.#runtime = null;
    if (runtime) await Promise.all([runtime.broker.close(), runtime.store.close()]);
  }

  /** Made at first use, so that importing an application connects to nothing. */
  runtime(): Runtime {
    this.#runtime ??= this.#start();
    return this.#runtime;
  }

  #start(): Runtime {
    const { engines, options } = this;
    const publishTimeoutMs = parseDuration(options.publishTimeout ?? '5s');
    if (publishTimeoutMs === undefined) throw new RangeError('publishTimeout is no duration');
    const namespace = options.namespace ?? engines.namespace(options.store) ?? 'memt';
    const broker = engines.broker(options.broker);
    broker.declare(topologyOf(namespace, this.#queues()));
    return {
      broker,
      store: engines.store(options.store, namespace),
      namespace,
      publishTimeoutMs,
      log: this.log,
      find: (task) => this.#tasks.get(task),
    };
  }

  #queues(): readonly string[] {
    return [...new Set([...this.#tasks.values()].map((task) => task.queue))];
  }
}

function bodyOf(task: string, input: unknown): Buffer {
  let text: string | undefined;
  try {
    text = jsonText(input === undefined ? null : input);
  } catch (error) {
    throw new InvalidInput(task, [
      `it cannot be written as JSON: ${error instanceof Error ? error.message : 'unknown'}`,
    ]);
  }
  if (text === undefined) throw new InvalidInput(task, ['it cannot be written as JSON']);
  const body = Buffer.from(text);
  if (body.length > MAX_BODY_BYTES) {
    throw new InvalidInput(task, [
      `it is ${body.length} bytes long, at most ${MAX_BODY_BYTES}: store it and send its id`,
    ]);
  }
  return body;
}
