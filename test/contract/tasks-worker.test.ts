import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/index.js';
import type { App } from '../../src/tasks/app.js';
import { poll } from '../../src/util/deadline.js';
import {
  hasDocuments,
  hasRabbit,
  isBuilt,
  mongoUri,
  Project,
  startRabbit,
  type EngineUris,
  type Rabbit,
} from './tasks-rig.js';
import { LONG } from '../rig/ring.js';

/** The tasks that the worker processes run; every effect is one line of a file. */
const TASKS = `
import { appendFileSync } from 'node:fs';
import { createApp } from 'memt';
const note = (line) => appendFileSync(new URL('effects.log', import.meta.url), line + '\\n');
export const app = createApp({ namespace: 'NAMESPACE' });
app.task('slow', async ({ ms }, { id, attempt, signal }) => {
  note('start ' + id + ' ' + process.pid);
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason); });
  });
  note('end ' + id);
  return attempt;
});
app.task('poison', (_, { id }) => { note('start ' + id); process.kill(process.pid, 'SIGKILL'); });
`;

const brokers = [
  ...(hasRabbit && LONG ? ['RabbitMQ'] : []),
  ...(isBuilt('services/rabbitmq/embedded/main.js') ? ['the embedded broker'] : []),
];

let counter = 0;

describe.runIf(hasDocuments && isBuilt('services/worker/main.js')).each(brokers)('worker processes on %s', (kind) => {
  let engines: EngineUris;
  let project: Project;
  let rabbit: Rabbit | null = null;
  let engineProject: Project;
  let app: App;

  beforeAll(async () => {
    engineProject = new Project();
    if (kind === 'RabbitMQ') rabbit = await startRabbit();
    const rabbitmq = rabbit?.url ?? (await engineProject.startEmbedded('rabbitmq')).url;
    engines = { mongodb: mongoUri ?? (await engineProject.startEmbedded('mongodb')).url, rabbitmq };
  });
  afterAll(async () => {
    await rabbit?.stop();
    await engineProject.remove();
  });
  beforeEach(() => {
    const namespace = `w${process.pid}-${(counter += 1)}`;
    project = new Project();
    project.write('tasks.js', TASKS.replace('NAMESPACE', namespace));
    app = createApp({ namespace, broker: engines.rabbitmq!, store: engines.mongodb! });
  });
  afterEach(async () => {
    await app.close();
    await project.remove();
  });

  const start = (instance: string, gracefulTimeoutMs = 5000) =>
    project.startWorker(instance, { tasks: 'tasks.js', engines, gracefulTimeoutMs });
  const healthy = (instance: string) => project.until(instance, ({ state }) => state === 'healthy');
  const effects = (start: string) =>
    project
      .read('effects.log')
      .split('\n')
      .filter((line) => line.startsWith(start));
  const effect = (start: string, count = 1) =>
    poll(() => (effects(start).length >= count ? true : undefined), {
      everyMs: 5,
      ms: 15_000,
      what: `effect ${start}`,
    });

  it('runs a task again whose worker was killed, and records one outcome', async () => {
    const slow = app.task<{ ms: number }, number>('slow', () => 0);
    const workers = [start('worker.0'), start('worker.1')];
    await healthy('worker.0');
    await healthy('worker.1');
    const handle = await slow.enqueue({ ms: 500 }, { id: 'victim' });
    await effect('start victim');
    const victim = workers.findIndex((worker) => effects('start victim')[0] === `start victim ${worker.pid}`);
    const killed = performance.now();
    workers[victim]!.kill('SIGKILL');
    await effect('start victim', 2);
    expect(performance.now() - killed).toBeLessThan(2000);
    expect(await handle.result({ timeout: '15s' })).toBe(1);
    expect(effects('end victim')).toHaveLength(1);
    const { facts } = await project.until(`worker.${1 - victim}`, (status) => status.facts['running'] === 0);
    expect(facts).toMatchObject({ done: 1, failed: 0 });
  });

  it('buries a task that kills its worker, and lets its neighbours live', async () => {
    const slow = app.task<{ ms: number }, number>('slow', () => 0);
    const poison = app.task<null, number>('poison', () => 0);
    let stopping = false;
    let current = start('worker.0');
    const revive = (): void => {
      if (stopping) return;
      current = start('worker.0');
      current.once('exit', revive);
    };
    current.once('exit', revive);
    const neighbours = await Promise.all([1, 2, 3].map((n) => slow.enqueue({ ms: 200 }, { id: `good${n}` })));
    const bad = await poison.enqueue(null, { id: 'bad' });
    try {
      await expect(bad.result({ timeout: '40s' })).rejects.toMatchObject({ state: 'DEAD' });
      for (const one of neighbours) expect(await one.result({ timeout: '15s' })).toBe(1);
      expect(effects('start bad')).toHaveLength(3);
    } finally {
      stopping = true;
    }
  });

  it('finishes what runs when it is drained, and answers how much; then a signal ends it', async () => {
    const slow = app.task<{ ms: number }, number>('slow', () => 0);
    const worker = start('worker.0');
    await healthy('worker.0');
    await slow.enqueue({ ms: 300 }, { id: 'last' });
    await effect('start last');
    const drained = await project.ask('worker.0', 'drain', 5000);
    expect(drained).toEqual({ kind: 'answer', value: { finished: 1, returned: 0 } });
    expect(await app.handle('last').state()).toBe('SUCCESS');
    expect((await project.status('worker.0'))?.state).toBe('stopped');
    worker.kill('SIGINT');
    expect(await once(worker, 'exit')).toEqual([0, null]);
  });

  it('returns what does not finish in time, and another worker runs it', async () => {
    const slow = app.task<{ ms: number }, number>('slow', () => 0);
    const worker = start('worker.0', 1000);
    await healthy('worker.0');
    await slow.enqueue({ ms: 20_000 }, { id: 'long' });
    await effect('start long');
    const asked = performance.now();
    worker.kill('SIGTERM');
    expect(await once(worker, 'exit')).toEqual([0, null]);
    expect(performance.now() - asked).toBeLessThan(3000);
    start('worker.1');
    await effect('start long', 2);
    expect(await app.handle('long').state()).toBe('STARTED');
  });

  it('stops at once when it has nothing to do, and at the second signal whatever it does', async () => {
    const slow = app.task<{ ms: number }, number>('slow', () => 0);
    const idle = start('worker.0');
    const busy = start('worker.1');
    await healthy('worker.0');
    await healthy('worker.1');
    let asked = performance.now();
    idle.kill('SIGINT');
    expect(await once(idle, 'exit')).toEqual([0, null]);
    expect(performance.now() - asked).toBeLessThan(500);
    await slow.enqueue({ ms: 20_000 }, { id: 'hurry' });
    await effect('start hurry');
    busy.kill('SIGINT');
    await project.until('worker.1', ({ state }) => state === 'draining');
    asked = performance.now();
    busy.kill('SIGINT');
    expect(await once(busy, 'exit')).toEqual([130, null]);
    expect(performance.now() - asked).toBeLessThan(500);
  });

  it('works on when the process that forked it is gone', async () => {
    const slow = app.task<{ ms: number }, number>('slow', () => 0);
    const worker = start('worker.0');
    await healthy('worker.0');
    worker.disconnect();
    expect(await (await slow.delay({ ms: 1 })).result({ timeout: '10s' })).toBe(1);
    expect(worker.exitCode).toBeNull();
  });

  it.each([
    ['missing.js', null, 'entry-missing', 'worker.tasks missing.js does not exist'],
    ['throws.js', "\nthrow new TypeError('broken')", 'entry-throws', 'TypeError: broken (throws.js:2)'],
    ['syntax.js', 'const a = 1;\nconst b = ;\n', 'entry-throws', '(syntax.js:2)'],
    ['nothing.js', 'export const x = 1', 'entry-shape', 'exports no application and no task'],
    ['empty.js', "import { createApp } from 'memt'; export const app = createApp();", 'entry-shape', 'defines no task'],
  ])('stays and says why it cannot work: %s', async (file, content, kindOfFailure, what) => {
    if (content !== null) project.write(file, content);
    const worker = project.startWorker('worker.0', { tasks: file, engines });
    const { state, failure } = await project.until('worker.0', (status) => status.failure !== null);
    expect(state).toBe('failed');
    expect(failure).toMatchObject({
      kind: kindOfFailure,
      unit: 'worker',
      what: expect.stringContaining(what) as string,
    });
    expect(worker.exitCode).toBeNull();
    worker.kill('SIGINT');
    expect(await once(worker, 'exit')).toEqual([0, null]);
  });
});
