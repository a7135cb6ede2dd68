import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ChannelModel, type ConsumeMessage } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../../src/control/client.js';
import type { Launch } from '../../src/model/launch.js';
import type { RabbitmqSettings } from '../../src/model/settings.js';
import { poll, withDeadline } from '../../src/util/deadline.js';
import { layoutOf } from '../../src/util/layout.js';
import { compileSources } from '../rig/compile.js';

let compiled: string;
let root: string;
let port: number;
let running: ChildProcess[] = [];

beforeAll(() => {
  compiled = compileSources(mkdtempSync(join(tmpdir(), 'memt-broker-code-')), ['src', 'services/rabbitmq/embedded']);
});
afterAll(() => rmSync(compiled, { recursive: true, force: true }));
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'memt-broker-'));
  port = await freePort();
});
afterEach(async () => {
  for (const child of running) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await exitOf(child);
    }
  }
  running = [];
  rmSync(root, { recursive: true, force: true });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as AddressInfo;
      server.close(() => resolve(free));
    });
  });
}

/** Starts the broker's own process as memt does. */
function start(settings: Partial<RabbitmqSettings> = {}): ChildProcess {
  const launch: Launch = {
    schema: 1,
    project: 'shop',
    root,
    environment: 'local',
    unit: 'rabbitmq',
    env: {},
    umask: 0o022,
    settingsDigest: 'x',
    settings: {
      uri: null,
      host: '127.0.0.1',
      port,
      dataDir: join(root, '.memt/data/rabbitmq'),
      dataDirConfigured: false,
      binary: null,
      engine: 'embedded',
      adopt: true,
      vhost: 'shop',
      user: 'guest',
      password: 'guest',
      managementPort: null,
      ...settings,
    } satisfies RabbitmqSettings,
    engines: { mongodb: null, rabbitmq: null },
  };
  mkdirSync(join(root, '.memt'), { recursive: true });
  writeFileSync(join(root, 'launch.json'), JSON.stringify(launch));
  const child = spawn(process.execPath, [join(compiled, 'services/rabbitmq/embedded/main.js')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'], MEMT_LAUNCH: join(root, 'launch.json') },
  });
  running.push(child);
  return child;
}

function exitOf(child: ChildProcess): Promise<number | string | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode ?? child.signalCode);
  return withDeadline(
    new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal))),
    10_000,
    'the end of the broker',
  );
}

async function connected(vhost = 'shop'): Promise<ChannelModel> {
  const connection = await poll(
    () =>
      connect(`amqp://guest:guest@127.0.0.1:${port}/${encodeURIComponent(vhost)}`, { noDelay: true }).catch(
        () => undefined,
      ),
    { everyMs: 10, ms: 10_000, what: 'the embedded broker' },
  );
  connection.on('error', () => undefined);
  return connection;
}

function log(): { level: string; text: string }[] {
  const text = readFileSync(join(root, '.memt/logs/rabbitmq.ndjson'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: string; text: string });
}

async function status(): Promise<unknown> {
  const answer = await ask(join(layoutOf(root).socketDir, 'rabbitmq.sock'), 'status');
  return answer.kind === 'answer' ? answer.value : answer;
}

/** Reads a queue to its end. */
async function drain(connection: ChannelModel, queue: string): Promise<ConsumeMessage[]> {
  const channel = await connection.createChannel();
  const { messageCount } = await channel.checkQueue(queue);
  const got: ConsumeMessage[] = [];
  await withDeadline(
    new Promise<void>((resolve) => {
      if (messageCount === 0) resolve();
      void channel.consume(queue, (message) => {
        if (message && got.push(message) === messageCount) resolve();
      });
    }),
    20_000,
    'all messages',
  );
  return got;
}

describe('kill -9 of the embedded broker', () => {
  it('loses no confirmed message, keeps their order, and redelivers only what was not acknowledged', async () => {
    let broker = start();
    let connection = await connected();
    await (await connection.createChannel()).assertQueue('work');
    const confirmed: number[] = [];
    let sent = 0;
    for (let round = 0; round < 4; round += 1) {
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => undefined);
      const target = confirmed.length + 1500 + round * 700;
      const window = 64 * 4 ** round;
      let flying = 0;
      const enough = new Promise<void>((resolve) => {
        const fill = (): void => {
          for (; flying < window && confirmed.length < target; flying += 1) {
            const number = sent;
            sent += 1;
            channel.sendToQueue('work', Buffer.from(String(number)), { persistent: true }, (error: unknown) => {
              flying -= 1;
              if (error) return;
              confirmed.push(number);
              if (confirmed.length >= target) resolve();
              else fill();
            });
          }
        };
        fill();
      });
      await withDeadline(enough, 20_000, 'confirms');
      broker.kill('SIGKILL');
      expect(await exitOf(broker)).toBe('SIGKILL');
      broker = start();
      connection = await connected();
    }
    const got = (await drain(connection, 'work')).map((message) => Number(message.content.toString()));
    const present = new Set(got);
    expect(confirmed.filter((number) => !present.has(number))).toEqual([]);
    expect(present.size).toBe(got.length);
    expect(got).toEqual([...got].sort((a, b) => a - b));
    expect(confirmed.length).toBeGreaterThan(9000);
    await connection.close();
  });

  it('marks what was out at a client as redelivered and forgets what was acknowledged', async () => {
    const broker = start();
    const connection = await connected();
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('q', { arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 5 } });
    for (const body of ['acked', 'held', 'waiting']) channel.sendToQueue('q', Buffer.from(body), { persistent: true });
    await channel.waitForConfirms();
    const acked = await channel.get('q');
    if (acked) channel.ack(acked);
    await channel.get('q');
    // The confirm of a later message says that everything before it is on the disk.
    channel.sendToQueue('q', Buffer.from('last'), { persistent: true });
    await channel.waitForConfirms();
    broker.kill('SIGKILL');
    await exitOf(broker);
    start();
    const again = await connected();
    const got = (await drain(again, 'q')).map((message) => [
      message.content.toString(),
      message.fields.redelivered,
      message.properties.headers?.['x-delivery-count'] as unknown,
    ]);
    expect(got).toEqual([
      ['held', true, 1],
      ['waiting', false, undefined],
      ['last', false, undefined],
    ]);
    await again.close();
  });
});

describe('a restart of the embedded broker', () => {
  it('tells clients by 320, exits with 0 within 300 ms, and brings back what is durable', async () => {
    const broker = start();
    const connection = await connected();
    const channel = await connection.createConfirmChannel();
    await channel.assertExchange('topic', 'topic', { arguments: { 'alternate-exchange': 'other' } });
    await channel.assertExchange('other', 'fanout');
    await channel.assertExchange('passing', 'fanout', { durable: false });
    await channel.assertQueue('kept', { arguments: { 'x-max-length': 100, 'x-dead-letter-exchange': 'other' } });
    await channel.assertQueue('timed', { messageTtl: 60_000 });
    await channel.assertQueue('passing', { durable: false });
    await channel.assertQueue('mine', { exclusive: true });
    await channel.assertQueue('deleted');
    await channel.deleteQueue('deleted');
    await channel.bindExchange('other', 'topic', 'x.#');
    await channel.bindQueue('kept', 'topic', 'a.*');
    await channel.bindQueue('kept', 'topic', 'gone');
    await channel.unbindQueue('kept', 'topic', 'gone');
    for (const [key, persistent] of [
      ['a.1', true],
      ['a.2', false],
      ['a.3', true],
    ] as const)
      channel.publish('topic', key, Buffer.from(key), { persistent });
    channel.sendToQueue('timed', Buffer.from('t'), {
      persistent: true,
      priority: 3,
      headers: { bytes: Buffer.from([1, 2, 255]) },
    });
    await channel.waitForConfirms();
    const error = new Promise<Error>((resolve) => connection.once('error', resolve));
    const closed = new Promise<void>((resolve) => connection.once('close', () => resolve()));
    const asked = performance.now();
    broker.kill('SIGTERM');
    expect(await exitOf(broker)).toBe(0);
    expect(performance.now() - asked).toBeLessThan(1000);
    await withDeadline(closed, 5000, 'the close');
    expect(
      await Promise.race([error.then((one) => one.message), closed.then(() => 'closed without an error')]),
    ).toMatch(/320|closed without an error/);

    start();
    const again = await connected();
    const on = await again.createConfirmChannel();
    on.on('error', () => undefined);
    await on.assertQueue('kept', { arguments: { 'x-max-length': 100, 'x-dead-letter-exchange': 'other' } });
    expect(
      (await drain(again, 'kept')).map((message) => [
        message.content.toString(),
        message.fields.routingKey,
        message.fields.redelivered,
      ]),
    ).toEqual([
      ['a.1', 'a.1', false],
      ['a.3', 'a.3', false],
    ]);
    const timed = await on.get('timed');
    expect(timed && [timed.properties.priority, timed.properties.headers?.['bytes'] as Buffer]).toEqual([
      3,
      Buffer.from([1, 2, 255]),
    ]);
    const returned: string[] = [];
    on.on('return', (message: { fields: { routingKey: string } }) => returned.push(message.fields.routingKey));
    for (const key of ['a.4', 'gone', 'x.y']) on.publish('topic', key, Buffer.from(key), { mandatory: true });
    await on.waitForConfirms();
    expect(returned).toEqual(['gone', 'x.y']);
    for (const name of ['passing', 'mine', 'deleted']) {
      const probe = await again.createChannel();
      probe.on('error', () => undefined);
      await expect(probe.checkQueue(name)).rejects.toThrow('NOT_FOUND');
    }
    await expect(on.checkExchange('passing')).rejects.toThrow('NOT_FOUND');
    await again.close();
  });

  it('compacts a log that is mostly dead, and loses nothing by it', async () => {
    const broker = start();
    const connection = await connected();
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('kept');
    await channel.assertQueue('busy');
    channel.sendToQueue('kept', Buffer.from('kept'), { persistent: true });
    const body = Buffer.alloc(100_000, 'x');
    for (let round = 0; round < 20; round += 1) {
      for (let index = 0; index < 10; index += 1) channel.sendToQueue('busy', body, { persistent: true });
      await channel.waitForConfirms();
      await channel.purgeQueue('busy');
    }
    channel.sendToQueue('busy', Buffer.from('end'), { persistent: true });
    await channel.waitForConfirms();
    const bytes = ((await status()) as { facts: { logBytes: number } }).facts.logBytes;
    expect(bytes).toBeLessThan(12_000_000);
    broker.kill('SIGKILL');
    await exitOf(broker);
    start();
    const again = await connected();
    expect((await drain(again, 'kept')).map((message) => message.content.toString())).toEqual(['kept']);
    expect((await drain(again, 'busy')).map((message) => message.content.toString())).toEqual(['end']);
    await again.close();
  });
});

describe('the embedded broker as a process', () => {
  it('says whose it is, and answers on its control socket', async () => {
    start();
    const connection = await connected();
    const properties = connection.connection.serverProperties as unknown as {
      product: string;
      version: string;
      memt: { id: string; project: string };
    };
    expect(properties).toMatchObject({
      product: 'memt embedded broker',
      version: '3.10.8',
      memt: { id: layoutOf(root).id, project: 'shop' },
    });
    expect(await status()).toMatchObject({ state: 'healthy', ports: [port], failure: null, facts: { connections: 1 } });
    await connection.close();
  });

  it('ends with 1 and names the cause when its port is taken', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    try {
      const broker = start();
      expect(await exitOf(broker)).toBe(1);
      expect(log().at(-1)).toMatchObject({ level: 'fatal', text: `127.0.0.1:${port} is taken by another process` });
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
  });

  it('ends with 1 when its data is in use, damaged or no folder', async () => {
    start();
    await (await connected()).close();
    const second = start({ port: await freePort() });
    expect(await exitOf(second)).toBe(1);
    expect(log().at(-1)?.text).toContain('is in use by pid');
    const file = join(root, 'file');
    writeFileSync(file, '');
    const third = start({ port: await freePort(), dataDir: file });
    expect(await exitOf(third)).toBe(1);
    expect(log().at(-1)).toMatchObject({ level: 'fatal' });
    expect(log().at(-1)?.text).toContain(file);
  });
});
