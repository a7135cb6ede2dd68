import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createDocumentServer } from '../../services/mongodb/embedded/server.js';
import { createMongoStore } from '../../src/adapters/mongodb.js';
import { freePort } from '../../src/host/ports.js';
import { StoreUnavailable } from '../../src/ports/store.js';
import { sampleAppDir } from '../../src/util/entries.js';

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function startMongodb(port: number): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'memt-late-'));
  undo.push(() => rm(dataDir, { recursive: true }));
  const server = await createDocumentServer({ dataDir, port });
  undo.push(() => server.close());
}

test('a store whose first look found no MongoDB uses the one that comes later', async () => {
  const port = await freePort(28_400);
  const store = createMongoStore({ uri: `mongodb://127.0.0.1:${port}/late`, name: 'test', namespace: 'late' });
  undo.push(() => store.close());
  const run = { id: 'a', task: 't', attempt: 1, worker: 'w' };
  await expect(store.begin(run)).rejects.toBeInstanceOf(StoreUnavailable);
  await startMongodb(port);
  await expect(store.begin(run)).resolves.toEqual({ kind: 'run', crashes: 0 });
});

test("so do the sample application's documents", async () => {
  const port = await freePort(28_400);
  process.env['MONGODB_URI'] = `mongodb://127.0.0.1:${port}/late`;
  undo.push(() => Promise.resolve(delete process.env['MONGODB_URI']));
  const sample = (await import(join(sampleAppDir, 'documents.js'))) as {
    isDatabaseAway(error: unknown): boolean;
    findDocument(id: string): Promise<unknown>;
  };
  await expect(sample.findDocument('none')).rejects.toSatisfy((error) => sample.isDatabaseAway(error));
  await startMongodb(port);
  await expect(sample.findDocument('none')).resolves.toBeNull();
});
