import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createMongoStore } from '../../src/adapters/mongodb.js';
import { StoreUnavailable, type Store } from '../../src/ports/store.js';
import { MemoryStore } from '../../src/tasks/memory/store.js';
import { hasDocuments, mongoUri, Project } from './tasks-rig.js';

const kinds = ['memory', ...(hasDocuments ? ['MongoDB'] : [])];
const error = { name: 'Error', message: 'no', stack: null };
const success = { state: 'SUCCESS', result: '{"a":1}', error: null, ttlMs: 60_000 } as const;
const failure = { state: 'FAILURE', result: null, error, ttlMs: 60_000 } as const;
let counter = 0;

describe.each(kinds)('the task store on %s', (kind) => {
  let project: Project;
  let store: Store;
  let id: string;
  const run = (attempt = 1, worker = 'w') => ({ id, task: 't', attempt, worker });

  beforeAll(async () => {
    project = new Project();
    store =
      kind === 'memory'
        ? new MemoryStore()
        : createMongoStore({
            uri: mongoUri ?? (await project.startEmbedded('mongodb')).url,
            name: 'contract',
            namespace: `s${process.pid}`,
          });
  });
  afterAll(async () => {
    await store.close();
    await project.remove();
  });
  beforeEach(() => {
    id = `id ${(counter += 1)}`;
  });

  it('knows nothing of a task before it begins', async () => {
    expect(await store.get(id)).toBeNull();
    await store.begin(run());
    expect(await store.get(id)).toMatchObject({
      id,
      state: 'STARTED',
      attempt: 1,
      starts: 1,
      result: null,
      worker: 'w',
    });
  });

  it('counts the runs that never ended', async () => {
    for (const crashes of [0, 1, 2]) expect(await store.begin(run())).toEqual({ kind: 'run', crashes });
  });

  it('does not count what was handed back, or retried', async () => {
    await store.begin(run());
    await store.release([id, 'unknown']);
    expect(await store.begin(run())).toEqual({ kind: 'run', crashes: 0 });
    expect(await store.retry(id, 1, error, 5)).toBe(true);
    expect(await store.begin(run(2))).toEqual({ kind: 'run', crashes: 0 });
    expect(await store.begin(run(2))).toEqual({ kind: 'run', crashes: 1 });
  });

  it('keeps the first outcome for ever', async () => {
    await store.begin(run());
    expect(await store.finish(run(), success)).toBe(true);
    expect(await store.finish(run(), failure)).toBe(false);
    expect(await store.finish(run(2), failure)).toBe(false);
    expect(await store.retry(id, 1, error, 5)).toBe(false);
    expect(await store.begin(run(2))).toEqual({ kind: 'settled', state: 'SUCCESS' });
    expect(await store.get(id)).toMatchObject({ state: 'SUCCESS', result: '{"a":1}', attempt: 1, error: null });
  });

  it('records one outcome of many that come at once', async () => {
    await store.begin(run());
    const stored = await Promise.all(
      Array.from({ length: 20 }, (_, n) => store.finish(run(), n % 2 ? success : failure)),
    );
    expect(stored.filter(Boolean)).toHaveLength(1);
  });

  it('lets one of many begin for the first time', async () => {
    const begun = await Promise.all(Array.from({ length: 20 }, (_, n) => store.begin(run(1, `w${n}`))));
    const crashes = begun.map((one) => (one.kind === 'run' ? one.crashes : -1)).sort((a, b) => a - b);
    expect(crashes).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  it('fences an attempt that was overtaken', async () => {
    await store.begin(run(1));
    await store.begin(run(2));
    expect(await store.begin(run(1))).toEqual({ kind: 'stale' });
    expect(await store.finish(run(1), failure)).toBe(false);
    expect(await store.retry(id, 1, error, 5)).toBe(false);
    expect(await store.finish(run(2), success)).toBe(true);
  });

  it('remembers that an attempt was retried, so that its redelivery only sends the next one', async () => {
    await store.begin(run());
    expect(await store.retry(id, 1, error, 1_900_000_000_000)).toBe(true);
    expect(await store.retry(id, 1, error, 5)).toBe(true);
    expect(await store.begin(run(1))).toEqual({ kind: 'retried', dueAt: 1_900_000_000_000 });
    expect(await store.get(id)).toMatchObject({ state: 'RETRY', error, dueAt: 1_900_000_000_000 });
  });

  it('records an outcome of what never began: a message that no worker can run', async () => {
    expect(await store.finish(run(), { ...failure, state: 'DEAD' })).toBe(true);
    expect(await store.begin(run())).toEqual({ kind: 'settled', state: 'DEAD' });
  });

  it('keeps any id and any result as it is', async () => {
    id = `$where.a\u2028${'ä'.repeat(80)}`;
    await store.begin(run());
    const result = JSON.stringify({ $set: 1, 'a.b': null, __proto__: [], text: '\u0000\ud83d\ude00' });
    await store.finish(run(), { ...success, result });
    expect((await store.get(id))?.result).toBe(result);
  });
});

describe('the task store without a MongoDB', () => {
  it('says so in time, without the password', async () => {
    const store = createMongoStore({ uri: 'mongodb://ana:secret@127.0.0.1:1/app', name: 'none', namespace: 'none' });
    const start = performance.now();
    const trouble = await store.get('x').catch((thrown: unknown) => thrown);
    expect(trouble).toBeInstanceOf(StoreUnavailable);
    expect(trouble).toMatchObject({ statusCode: 503, message: expect.not.stringContaining('secret') as string });
    expect(performance.now() - start).toBeLessThan(5500);
    await store.close();
  });

  it('does not take a wrong address for an outage', async () => {
    const store = createMongoStore({ uri: 'http://nowhere', name: 'none', namespace: 'none' });
    await expect(store.get('x')).rejects.toThrow(TypeError);
    await store.close();
  });
});
