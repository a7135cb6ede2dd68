import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Behaviour } from '../rig/behaviour.js';
import { message, normalise } from '../rig/normalise.js';
import { TestProject, type ProjectPorts } from '../rig/project.js';

type Program = 'mongod' | 'rabbitmq-server';
const only = { mongod: 'mongodb', 'rabbitmq-server': 'rabbitmq' } as const;

function stackOf(program: Program, extra: Readonly<Record<string, unknown>> = {}) {
  return (ports: ProjectPorts): unknown =>
    program === 'mongod'
      ? { mongodb: { port: ports.mongodb, ...extra } }
      : { rabbitmq: { port: ports.rabbitmq, managementPort: false, ...extra } };
}

/** Brings one scripted engine up that cannot come up; gives what the user reads. */
async function failed(program: Program, behaviour: Behaviour, args: readonly string[] = []): Promise<string> {
  await using project = await TestProject.create({ engines: 'fake', stack: stackOf(program) });
  project.fakes?.script(program, behaviour);
  const run = await project.memt(['up', ...args]);
  expect(run.code).toBe(69);
  expect(message(run.stderr, project)).toMatchSnapshot();
  expect((await project.memt(['status'])).code).toBe(3);
  return normalise(run.stderr, project);
}

describe('mongod that cannot start', () => {
  it.each([
    ['port-taken', /mongodb failed: 127\.0\.0\.1:\S+ was taken when mongod started.*exit code 48/s],
    ['data-locked', /mongodb failed: mongod ended \(exit code 100\): .* is in use by another mongod/],
    ['abort', /mongodb failed: .*14/],
    ['data-newer', /mongodb failed: .*62/],
  ] as const)('%s: the exit code explained, with its own log lines', async (trouble, pattern) => {
    const text = await failed('mongod', { trouble });
    expect(text).toMatch(pattern);
    expect(text.split('\n').length).toBeGreaterThan(2);
  });

  it('ends with a code that nobody knows: the code and its last lines', async () => {
    expect(await failed('mongod', { exit: { code: 7 } })).toMatch(/mongodb failed: .*7/);
  });

  it('hangs before it listens', async () => {
    expect(await failed('mongod', { hang: true }, ['--timeout', '1500ms'])).toMatch(
      /mongodb failed: MongoDB was not healthy after [12] s: nothing listens/,
    );
  });

  it.each(['no-accept', 'no-answer'] as const)('listens and says nothing (%s)', async (listen) => {
    expect(await failed('mongod', { listen }, ['--timeout', '1500ms'])).toMatch(
      /mongodb failed: MongoDB was not healthy after \d s: .*did not answer/,
    );
  });

  it('answers something else', async () => {
    expect(await failed('mongod', { listen: 'garbage' }, ['--timeout', '1500ms'])).toMatch(/mongodb failed: /);
  });

  it('is not writable', async () => {
    expect(await failed('mongod', { refuseWrites: true }, ['--timeout', '1500ms'])).toMatch(
      /mongodb failed: MongoDB was not healthy .*(primary|write)/,
    );
  });
});

describe('rabbitmq-server that cannot start', () => {
  it.each([
    ['port-taken', /rabbitmq failed: /],
    ['abort', /rabbitmq failed: /],
  ] as const)('%s: explained', async (trouble, pattern) => {
    expect(await failed('rabbitmq-server', { trouble })).toMatch(pattern);
  });

  it('hangs before it listens', async () => {
    expect(await failed('rabbitmq-server', { hang: true }, ['--timeout', '1500ms'])).toMatch(
      /rabbitmq failed: RabbitMQ was not healthy after [12] s/,
    );
  });

  it('has an alarm', async () => {
    expect(await failed('rabbitmq-server', { refuseWrites: true }, ['--timeout', '1500ms'])).toMatch(
      /rabbitmq failed: RabbitMQ was not healthy .*accepts no messages: low on disk/,
    );
  });
});

describe('engines that serve', () => {
  it('are spawned with the real flags, used, and stopped cleanly', async () => {
    await using project = await TestProject.create({ engines: 'fake' });
    const up = await project.memt(['up']);
    expect(up.stderr).toBe('');
    expect(up.code).toBe(0);
    const mongod = await project.fakes?.run('mongod');
    expect(mongod?.invocation.args).toEqual(
      expect.arrayContaining(['--bind_ip', '127.0.0.1', '--port', String(project.ports.mongodb)]),
    );
    const down = await project.memt(['down']);
    expect(down.stderr).toBe('');
    expect(mongod?.events).toContainEqual({ event: 'signal', signal: 'SIGTERM' });
  });

  it('that ignore SIGTERM are killed at the deadline of a second Ctrl-C', async () => {
    await using project = await TestProject.create({ engines: 'fake', stack: stackOf('mongod') });
    project.fakes?.script('mongod', { ignoreSigterm: true });
    expect((await project.memt(['up'])).code).toBe(0);
    const down = project.start(['down']);
    await (await project.fakes?.run('mongod'))?.until('signal');
    down.kill('SIGINT');
    await down.waitForOutput(/once more/);
    down.kill('SIGINT');
    expect((await down.done).code).toBe(0);
  });

  it('that die after they were ready are brought back by the keeper', async () => {
    await using project = await TestProject.create({ engines: 'fake', stack: stackOf('mongod') });
    expect((await project.memt(['up'])).code).toBe(0);
    (await project.fakes?.run('mongod'))?.die({ signal: 'SIGKILL' });
    const second = await project.fakes?.run('mongod', 2);
    await second?.until('ready');
    expect(second?.invocation.pid).toBeGreaterThan(0);
    expect((await project.memt(['down'])).code).toBe(0);
  });
});

describe('a data directory that cannot be used', () => {
  it('configured and missing: the command that makes it', async () => {
    await using project = await TestProject.create({
      engines: 'fake',
      stack: stackOf('mongod', { dbpath: './nowhere/db' }),
    });
    const run = await project.memt(['up']);
    expect(run.code).toBe(69);
    expect(message(run.stderr, project)).toMatchSnapshot();
    expect(normalise(run.stderr, project)).toMatch(/mongodb failed: .*<root>\/nowhere\/db.*mkdir -p/s);
  });

  it('is a file', async () => {
    await using project = await TestProject.create({
      engines: 'fake',
      stack: stackOf('mongod', { dbpath: './db' }),
      files: { db: 'no folder' },
    });
    const run = await project.memt(['up']);
    expect(run.code).toBe(69);
    expect(message(run.stderr, project)).toMatchSnapshot();
    expect(normalise(run.stderr, project)).toMatch(/mongodb failed: .*<root>\/db/);
  });
});

describe('a taken engine port', () => {
  const listen = (port: number, answer: string): Promise<Server> =>
    new Promise((resolve) => {
      const server = createServer((socket) =>
        socket
          .on('error', () => socket.destroy())
          .resume()
          .end(answer),
      );
      server.listen(port, '127.0.0.1', () => resolve(server));
    });

  it.each(['mongod', 'rabbitmq-server'] as const)(
    '%s: the holder, what it is not, and the way out',
    async (program) => {
      await using project = await TestProject.create({ engines: 'fake', stack: stackOf(program) });
      const unit = only[program];
      const server = await listen(project.ports[unit], 'SSH-2.0-OpenSSH_9.2\r\n');
      const run = await project.memt(['up']);
      await new Promise((resolve) => server.close(resolve));
      expect(run.code).toBe(69);
      expect(message(run.stderr, project)).toMatchSnapshot();
      expect(normalise(run.stderr, project)).toMatch(
        new RegExp(
          `^${unit} failed: 127\\.0\\.0\\.1:<${unit}> is held by .*pid N.*It is not a usable .*memt up --${unit}-port`,
        ),
      );
    },
  );

  it("by another memt project's engine", async () => {
    await using first = await TestProject.create({ stack: stackOf('mongod') });
    await using second = await TestProject.create({ stack: () => ({ mongodb: { port: first.ports.mongodb } }) });
    expect((await first.memt(['up'])).code).toBe(0);
    const run = await second.memt(['up']);
    expect(run.code).toBe(69);
    expect(run.stderr).toContain('It is the MongoDB of another memt project');
    expect((await first.memt(['down'])).code).toBe(0);
  });
});

describe('no real engine', () => {
  it('under --env production is one refusal with both ways out', async () => {
    await using project = await TestProject.create();
    const run = await project.memt(['up', '--env', 'production']);
    expect(run.code).toBe(69);
    expect(normalise(run.stderr, project)).toMatchInlineSnapshot(`
      "mongodb failed: no mongod found, and environment production does not use the embedded engine. Install MongoDB or set mongodb.uri to one that runs; to accept the embedded engine: memt up --allow-embedded.
          also: rabbitmq: no rabbitmq-server found, and environment production does not use the embedded engine
      "
    `);
    const allowed = await project.memt(['up', '--env', 'production', '--allow-embedded']);
    expect(allowed.code).toBe(0);
    expect((await project.memt(['down'])).code).toBe(0);
  });
});

describe('a journal whose pids belong to others now', () => {
  it('is forgotten, and nobody else is touched', async () => {
    await using project = await TestProject.create({ stack: stackOf('mongod') });
    mkdirSync(join(project.root, '.memt/run/journal'), { recursive: true, mode: 0o700 });
    const stale = {
      schema: 1,
      unit: 'mongodb',
      instance: 'mongodb',
      role: 'engine',
      pid: process.pid,
      startTime: 1,
      bootId: 'another',
      at: 1,
      command: 'mongod',
      ports: [],
      engine: 'spawned',
    };
    project.write('.memt/run/journal/mongodb.json', JSON.stringify(stale));
    const run = await project.memt(['up']);
    expect(run.stdout).toContain('repaired after an unclean end: 1 dead forgotten');
    expect(run.code).toBe(0);
    expect((await project.memt(['down'])).code).toBe(0);
  });
});
