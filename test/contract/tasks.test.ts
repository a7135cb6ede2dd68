import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAmqpBroker } from '../../src/adapters/amqplib.js';
import { createMongoStore } from '../../src/adapters/mongodb.js';
import type { Broker } from '../../src/ports/broker.js';
import { BrokerUnavailable } from '../../src/ports/broker.js';
import type { Store } from '../../src/ports/store.js';
import { App } from '../../src/tasks/app.js';
import type { StandardSchema } from '../../src/tasks/core/schema.js';
import { InvalidInput, TaskFailed, Unrecoverable } from '../../src/tasks/core/errors.js';
import { deadQueueName, queueName } from '../../src/tasks/core/topology.js';
import { MemoryBroker } from '../../src/tasks/memory/broker.js';
import { MemoryStore } from '../../src/tasks/memory/store.js';
import { poll } from '../../src/util/deadline.js';
import {
  hasDocuments,
  hasRabbit,
  isBuilt,
  mongoUri,
  Project,
  startProxy,
  startRabbit,
  type Proxy,
  type Rabbit,
} from './tasks-rig.js';

/** What the suite needs of the engines under test. */
interface Bench {
  setUp(): Promise<void>;
  tearDown(): Promise<void>;
  broker(): Broker;
  store(): Store;
  cut(): Promise<void>;
  restore(): Promise<void>;
}

/** The store outlives its application here: it belongs to the bench. */
const shared = (store: Store): Store => ({
  begin: (run) => store.begin(run),
  retry: (id, attempt, error, dueAt) => store.retry(id, attempt, error, dueAt),
  finish: (run, outcome) => store.finish(run, outcome),
  release: (ids) => store.release(ids),
  get: (id) => store.get(id),
  close: () => Promise.resolve(),
});

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function memoryBench(): Bench {
  let broker: MemoryBroker;
  let store: MemoryStore;
  return {
    setUp: () => {
      broker = new MemoryBroker();
      store = new MemoryStore();
      return Promise.resolve();
    },
    tearDown: () => Promise.resolve(),
    broker: () => broker,
    store: () => store,
    cut: () => {
      broker.cut();
      return Promise.resolve();
    },
    restore: () => {
      broker.restore();
      return Promise.resolve();
    },
  };
}

/** A broker behind a proxy that can be cut, and the store of its kind. */
function wireBench(kind: 'real' | 'embedded'): Bench {
  let rabbit: Rabbit | null = null;
  let proxy: Proxy;
  let store: Store;
  let project: Project;
  return {
    setUp: async () => {
      project = new Project();
      if (kind === 'real') rabbit = await startRabbit();
      proxy = await startProxy(rabbit?.port ?? (await project.startEmbedded('rabbitmq')).port);
      const uri = mongoUri ?? (hasDocuments ? (await project.startEmbedded('mongodb')).url : null);
      store =
        uri === null
          ? new MemoryStore()
          : createMongoStore({ uri, name: 'contract', namespace: `c${process.pid}-${kind}` });
    },
    tearDown: async () => {
      await store.close();
      await proxy.close();
      await rabbit?.stop();
      await project.remove();
    },
    broker: () => createAmqpBroker({ url: `amqp://guest:guest@127.0.0.1:${proxy.port}/`, name: 'contract' }),
    store: () => store,
    cut: () => proxy.cut(),
    restore: () => proxy.restore(),
  };
}

const benches: [string, () => Bench][] = [['memory', memoryBench]];
if (isBuilt('services/rabbitmq/embedded/main.js')) benches.push(['the embedded engines', () => wireBench('embedded')]);
if (hasRabbit) benches.push(['RabbitMQ', () => wireBench('real')]);

let counter = 0;

describe.each(benches)('tasks on %s', (_name, makeBench) => {
  const bench = makeBench();
  let app: App;
  let broker: Broker;
  let namespace: string;
  const stoppers: (() => Promise<unknown>)[] = [];

  beforeAll(() => bench.setUp());
  afterAll(() => bench.tearDown());
  beforeEach(() => {
    namespace = `t${(counter += 1)}`;
    app = appOf();
  });
  afterEach(async () => {
    for (const stop of stoppers.splice(0).reverse()) await stop();
  });

  function appOf(): App {
    broker = bench.broker();
    const mine = broker;
    const made = new App(
      { namespace, log: quiet },
      { broker: () => mine, store: () => shared(bench.store()), namespace: () => null },
    );
    stoppers.push(() => made.close());
    return made;
  }

  async function work(options: Parameters<App['worker']>[0] = {}) {
    const worker = app.worker({ grace: '2s', ...options });
    stoppers.push(() => worker.stop());
    await worker.start();
    return worker;
  }

  async function deadLetters(count: number, queue = 'default') {
    const found: { id: string | null; headers: Readonly<Record<string, unknown>> }[] = [];
    const reader = bench.broker();
    const subscription = reader.consume({
      queue: deadQueueName(namespace, queue),
      prefetch: 100,
      onDelivery: (delivery) => {
        found.push(delivery.message);
        delivery.ack();
      },
      onLost: () => undefined,
    });
    await poll(() => (found.length >= count ? true : undefined), { everyMs: 10, ms: 10_000, what: 'dead letters' });
    await subscription.cancel();
    return found;
  }

  it('carries input to a worker and its result back', async () => {
    const double = app.task('double', {}, ({ n }: { n: number }) => ({ twice: n * 2 }));
    await work();
    const handle = await double.delay({ n: 21 });
    expect(await handle.result({ timeout: '10s' })).toEqual({ twice: 42 });
    expect(await handle.state()).toBe('SUCCESS');
    expect(await app.handle('nobody-knows-it').state()).toBe('UNKNOWN');
  });

  it('runs what was enqueued before any worker lived, and knows it as pending until then', async () => {
    const echo = app.task('echo', (input: string) => input);
    const handle = await echo.enqueue('früh', { id: 'my own id ✓' });
    expect(await handle.state()).toBe('PENDING');
    await work();
    expect(await handle.result({ timeout: '10s' })).toBe('früh');
  });

  it('retries a failing task until it succeeds', async () => {
    const attempts: number[] = [];
    const flaky = app.task('flaky', { retry: { min: 20, max: 50 } }, (_: null, { attempt }) => {
      attempts.push(attempt);
      if (attempt < 3) throw new Error(`not yet ${attempt}`);
      return attempt;
    });
    const worker = await work();
    const handle = await flaky.delay(null);
    expect(await handle.result({ timeout: '10s' })).toBe(3);
    expect(attempts).toEqual([1, 2, 3]);
    await poll(() => (worker.status().running === 0 ? true : undefined), { everyMs: 5, ms: 2000, what: 'rest' });
    expect(worker.status()).toMatchObject({ done: 1, retried: 2, failed: 0 });
  });

  it('waits on the ladder when the delay is longer than a second, never shorter', async () => {
    const times: number[] = [];
    const later = app.task('later', { retry: { min: '1100ms', jitter: 'none', maxAttempts: 2 } }, () => {
      times.push(performance.now());
      if (times.length === 1) throw new Error('once');
    });
    await work();
    await (await later.delay(null)).result({ timeout: '15s' });
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(1100);
    expect(times[1]! - times[0]!).toBeLessThan(4000);
  });

  it('records the failure of a task whose attempts are used up, and buries it with its reason', async () => {
    const broken = app.task('broken', { retry: { maxAttempts: 2, min: 10 } }, () => {
      throw new RangeError('always');
    });
    await work();
    const handle = await broken.delay(null);
    const error = await handle.result({ timeout: '10s' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TaskFailed);
    expect(error).toMatchObject({ id: handle.id, state: 'FAILURE', cause: { name: 'RangeError', message: 'always' } });
    expect(await deadLetters(1)).toMatchObject([
      { id: handle.id, headers: { 'memt-reason': 'attempts-exhausted', 'memt-error': 'always', 'memt-attempt': 2 } },
    ]);
  });

  it('does not retry what is unrecoverable, nor what `when` declines', async () => {
    let runs = 0;
    const fatal = app.task('fatal', () => {
      runs += 1;
      throw new Unrecoverable('no use');
    });
    const declined = app.task('declined', { retry: { when: (error) => !(error instanceof TypeError) } }, () => {
      runs += 1;
      throw new TypeError('no use either');
    });
    await work();
    for (const task of [fatal, declined]) {
      const handle = await task.delay(null);
      await expect(handle.result({ timeout: '10s' })).rejects.toThrow('no use');
    }
    expect(runs).toBe(2);
  });

  it('refuses invalid input before anything is sent', async () => {
    const positive: StandardSchema<number, number> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          typeof value === 'number' && value > 0
            ? { value }
            : { issues: [{ message: 'must be above 0', path: ['width', { key: 0 }] }] },
      },
    };
    const root = app.task('root', { input: positive }, (n) => Math.sqrt(n));
    await expect(root.delay(-1)).rejects.toThrow(new InvalidInput('root', ['width.0: must be above 0']));
    await expect(root.run(-1)).rejects.toThrow(InvalidInput);
    expect(await root.run(9)).toBe(3);
    const any = app.task('any', (input: unknown) => input);
    const loop: Record<string, unknown> = {};
    loop['loop'] = loop;
    for (const bad of [loop, 10n, () => 1, Symbol('x'), 'x'.repeat(2 ** 20)]) {
      await expect(any.delay(bad)).rejects.toThrow(InvalidInput);
    }
  });

  it('sends malformed, foreign and unknown messages to the dead queue, and goes on', async () => {
    const echo = app.task('echo', (input: unknown) => input);
    const worker = await work();
    const route = { exchange: '', key: queueName(namespace, 'default') };
    const bodies: [string, string, Record<string, string | number>, string][] = [
      ['m1', 'echo', {}, '{not json'],
      ['m2', 'nobody', {}, '{}'],
      ['m3', 'echo', { 'memt-schema': 99 }, '{}'],
      ['m4', 'echo', { 'memt-attempt': 'many' }, '{}'],
      ['m5', '', {}, '{}'],
    ];
    for (const [id, type, headers, body] of bodies) {
      const message = { id, type, contentType: 'application/json', headers, body: Buffer.from(body) };
      await broker.publish(route, message, { timeoutMs: 5000 });
    }
    const dead = await deadLetters(5);
    expect(new Map(dead.map((one) => [one.id, one.headers['memt-reason']]))).toEqual(
      new Map([
        ['m1', 'malformed'],
        ['m2', 'unknown-task'],
        ['m3', 'malformed'],
        ['m4', 'malformed'],
        ['m5', 'malformed'],
      ]),
    );
    await expect(app.handle('m2').result({ timeout: '5s' })).rejects.toThrow('this worker has no task nobody');
    expect(await (await echo.delay('fine')).result({ timeout: '5s' })).toBe('fine');
    expect(worker.status().failed).toBe(5);
  });

  it('runs a task once when its message comes twice', async () => {
    let runs = 0;
    const once = app.task('once', () => (runs += 1));
    await work({ concurrency: 1 });
    await once.enqueue(null, { id: 'twin' });
    await once.enqueue(null, { id: 'twin' });
    await (await once.enqueue(null, { id: 'last' })).result({ timeout: '10s' });
    expect(await app.handle('twin').result({ timeout: '1s' })).toBe(1);
    expect(runs).toBe(2);
  });

  it('keeps to its concurrency, and to its time limits', async () => {
    let now = 0;
    let most = 0;
    const slow = app.task('slow', async () => {
      most = Math.max(most, (now += 1));
      await new Promise((resolve) => setTimeout(resolve, 20));
      now -= 1;
    });
    const hung = app.task('hung', { retry: false, timeLimit: { soft: 30, hard: 60 } }, async (_: null, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await new Promise(() => undefined);
    });
    await work({ concurrency: 3 });
    const handles = await Promise.all(Array.from({ length: 12 }, () => slow.delay(null)));
    await Promise.all(handles.map((handle) => handle.result({ timeout: '10s' })));
    expect(most).toBe(3);
    await expect((await hung.delay(null)).result({ timeout: '10s' })).rejects.toThrow('hard time limit of 60 ms');
  });

  it('finishes what runs and returns what waits when it is stopped', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const started: string[] = [];
    const waits = app.task('waits', async (input: string) => {
      started.push(input);
      await gate;
      return input;
    });
    const worker = await work({ concurrency: 1 });
    const first = await waits.delay('first');
    await poll(() => (started.length === 1 ? true : undefined), { everyMs: 5, ms: 5000, what: 'start' });
    const second = await waits.delay('second');
    const stopping = worker.stop();
    open();
    expect(await stopping).toMatchObject({ finished: 1 });
    expect(await first.state()).toBe('SUCCESS');
    expect(await second.state()).toBe('PENDING');
    await work();
    expect(await second.result({ timeout: '10s' })).toBe('second');
    expect(started).toEqual(['first', 'second']);
  });

  it('aborts and returns what does not finish in time, without using up an attempt or counting a crash', async () => {
    const runs: number[] = [];
    let stubborn = true;
    const long = app.task('long', { maxCrashes: 1, retry: false }, async (_: null, { signal, attempt }) => {
      runs.push(attempt);
      if (!stubborn) return 'done';
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))));
      return 'never';
    });
    for (let round = 1; round <= 3; round += 1) {
      const worker = await work();
      if (round === 1) await long.enqueue(null, { id: 'long' });
      await poll(() => (runs.length === round ? true : undefined), { everyMs: 5, ms: 10_000, what: 'run' });
      expect(await worker.stop(50)).toEqual({ finished: 0, returned: 1 });
    }
    stubborn = false;
    await work();
    expect(await app.handle('long').result({ timeout: '10s' })).toBe('done');
    expect(runs).toEqual([1, 1, 1, 1]);
  });

  it('adopts a task that still runs when its connection is cut: one run, one outcome, consuming again', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    let runs = 0;
    const waits = app.task('adopted', { maxCrashes: 1 }, async () => {
      runs += 1;
      await gate;
      return runs;
    });
    const worker = await work();
    const handle = await waits.delay(null);
    await poll(() => (runs === 1 ? true : undefined), { everyMs: 5, ms: 5000, what: 'start' });
    await bench.cut();
    await poll(() => (worker.status().consuming ? undefined : true), { everyMs: 5, ms: 5000, what: 'loss' });
    expect(worker.status().reason).not.toBeNull();
    await bench.restore();
    const back = performance.now();
    await poll(() => (worker.status().consuming ? true : undefined), { everyMs: 5, ms: 5000, what: 'consuming again' });
    expect(performance.now() - back).toBeLessThan(5000);
    open();
    expect(await handle.result({ timeout: '10s' })).toBe(1);
    const next = await waits.delay(null);
    expect(await next.result({ timeout: '10s' })).toBe(2);
    expect(runs).toBe(2);
  });

  it('rejects an enqueue in time while the broker is away, and works again after', async () => {
    const echo = app.task('echo', (input: unknown) => input);
    await work();
    await (await echo.delay(1)).result({ timeout: '10s' });
    await bench.cut();
    const start = performance.now();
    await expect(echo.delay(2)).rejects.toThrow(BrokerUnavailable);
    expect(performance.now() - start).toBeLessThan(5500);
    await expect(echo.delay(2)).rejects.toMatchObject({ statusCode: 503, retryAfter: 2 });
    await bench.restore();
    const handle = await poll(() => echo.delay(3).catch(() => undefined), { everyMs: 50, ms: 5000, what: 'broker' });
    expect(await handle.result({ timeout: '10s' })).toBe(3);
  });

  it('declares a task dead whose worker died each time', async () => {
    const task = app.task('deadly', { maxCrashes: 2 }, () => 'survived');
    const store = bench.store();
    await task.enqueue(null, { id: 'crash' });
    // What a worker killed in the middle of a run leaves behind: a beginning without an end.
    for (const worker of ['w1', 'w2']) await store.begin({ id: 'crash', task: 'deadly', attempt: 1, worker });
    await work();
    await expect(app.handle('crash').result({ timeout: '10s' })).rejects.toMatchObject({ state: 'DEAD' });
    expect(await deadLetters(1)).toMatchObject([{ id: 'crash', headers: { 'memt-reason': 'crashed' } }]);
  });
});
