import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withDeadline } from '../../../../src/util/deadline.js';
import { FrameReader, FrameWriter } from '../codec/frames.js';
import { readMethod, type Method, type MethodName } from '../codec/methods.js';
import { text, type Table } from '../codec/table.js';
import { nodeDisk } from '../../../../src/wal/disk.js';
import { encodeProperties } from '../codec/properties.js';
import { createPage, type Page } from '../page/page.js';
import { createBroker, type Broker, type BrokerOptions } from './server.js';

let dir: string;
let broker: Broker;
let page: Page;
let port: number;
let pagePort: number;
let sockets: Socket[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'memt-server-'));
  const options: BrokerOptions = {
    dataDir: dir,
    layoutId: 'abc',
    project: 'shop <&>',
    user: 'ana',
    password: 'pässword:1',
    vhosts: ['shop'],
  };
  broker = await createBroker(options);
  port = await broker.listen(0);
  page = createPage(broker, options);
  pagePort = await page.listen(0);
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await page.close();
  await broker.close(0);
  rmSync(dir, { recursive: true, force: true });
});

type Answer = Method | { readonly name: 'unknown'; readonly id: number } | { readonly name: 'closed' };

/** A client that can say anything. */
class Raw {
  readonly socket: Socket;
  readonly writer = new FrameWriter();
  private readonly answers: Answer[] = [];
  private wake = (): void => undefined;

  constructor(at = port) {
    this.socket = connect(at, '127.0.0.1');
    sockets.push(this.socket);
    const reader = new FrameReader();
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk) => {
      reader.push(chunk, (type, _channel, payload) => {
        if (type === 1) this.answers.push(readMethod(payload));
        return true;
      });
      this.wake();
    });
    this.socket.on('close', () => {
      this.answers.push({ name: 'closed' });
      this.wake();
    });
  }

  flush(): void {
    for (const buffer of this.writer.take()) this.socket.write(buffer);
  }

  async next(): Promise<Answer> {
    while (this.answers.length === 0)
      await withDeadline(new Promise<void>((resolve) => (this.wake = resolve)), 5000, 'an answer');
    return this.answers.shift() as Answer;
  }

  async expectNext(name: MethodName): Promise<Method> {
    const answer = await this.next();
    expect(answer.name).toBe(name);
    return answer as Method;
  }

  async login(properties: Table = new Map(), response = '\0ana\0pässword:1', mechanism = 'PLAIN'): Promise<void> {
    this.socket.write(Buffer.from('AMQP\0\0\x09\x01', 'latin1'));
    await this.expectNext('connection.start');
    this.writer.method(0, 'connection.start-ok', {
      properties,
      mechanism,
      response: Buffer.from(response),
      locale: 'en_US',
    });
    this.flush();
  }

  async open(): Promise<void> {
    await this.login();
    await this.expectNext('connection.tune');
    this.writer.method(0, 'connection.tune-ok', { channelMax: 10, frameMax: 0, heartbeat: 0 });
    this.writer.method(0, 'connection.open', { vhost: 'shop' });
    this.writer.method(1, 'channel.open', {});
    this.flush();
    await this.expectNext('connection.open-ok');
    await this.expectNext('channel.open-ok');
  }

  async expectClose(code: number, words: string): Promise<void> {
    const { args } = (await this.expectNext('connection.close')) as Extract<Method, { name: 'connection.close' }>;
    expect([args.code, args.text]).toEqual([code, expect.stringContaining(words)]);
    this.writer.method(0, 'connection.close-ok', {});
    this.flush();
    expect((await this.next()).name).toBe('closed');
  }
}

/** The broker serves others as if nothing had happened. */
async function stillServes(): Promise<void> {
  await new Raw().open();
}

describe('a client that is no client', () => {
  it.each(['GET / HTTP/1.1\r\n\r\n', 'AMQP\0\0\x09\0', 'AMQP\x03\x01\0\0', '\0'])(
    'saying %j gets the protocol header and is cut off',
    async (words) => {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      const got: Buffer[] = [];
      socket.on('data', (chunk) => got.push(chunk));
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      socket.write(Buffer.from(words, 'latin1'));
      await withDeadline(closed, 5000, 'the end');
      expect(Buffer.concat(got).toString('latin1')).toBe('AMQP\0\0\x09\x01');
      await stillServes();
    },
  );

  it('is refused with a wrong password: 403 when it understands that, else by the end of the connection', async () => {
    const knowing = new Raw();
    await knowing.login(
      new Map([
        ['capabilities', { type: 'F', value: new Map([['authentication_failure_close', { type: 't', value: true }]]) }],
      ]),
      '\0ana\0wrong',
    );
    await knowing.expectClose(403, 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN');
    const old = new Raw();
    await old.login(new Map(), '\0ana\0wrong');
    expect((await old.next()).name).toBe('closed');
    const strange = new Raw();
    await strange.login(new Map(), 'x', 'EXTERNAL');
    await strange.expectClose(502, 'SYNTAX_ERROR');
  });

  it('may use AMQPLAIN', async () => {
    const client = new Raw();
    const field = (name: string, value: string): string =>
      `${String.fromCharCode(name.length)}${name}S\0\0\0${String.fromCharCode(Buffer.byteLength(value))}${value}`;
    await client.login(new Map(), field('LOGIN', 'ana') + field('PASSWORD', 'pässword:1'), 'AMQPLAIN');
    await client.expectNext('connection.tune');
  });
});

describe('a client that breaks the protocol', () => {
  it.each<[string, (client: Raw) => void, number, string]>([
    [
      'a frame without its end mark',
      (client) => client.socket.write(Buffer.from([1, 0, 1, 0, 0, 0, 1, 9, 9])),
      501,
      'FRAME_ERROR',
    ],
    [
      'a frame that is too long',
      (client) => client.socket.write(Buffer.from([1, 0, 1, 255, 0, 0, 0, 0])),
      501,
      'too long',
    ],
    [
      'an unknown frame type',
      (client) => client.socket.write(Buffer.from([7, 0, 1, 0, 0, 0, 0, 0xce])),
      501,
      'FRAME_ERROR',
    ],
    [
      'an unknown method',
      (client) => client.socket.write(Buffer.from([1, 0, 1, 0, 0, 0, 4, 0, 99, 0, 1, 0xce])),
      540,
      'method 99.1',
    ],
    [
      'a method cut short',
      (client) => client.socket.write(Buffer.from([1, 0, 1, 0, 0, 0, 5, 0, 60, 0, 40, 0, 0xce])),
      502,
      'SYNTAX_ERROR',
    ],
    [
      'a channel opened twice',
      (client) => client.writer.method(1, 'channel.open', {}),
      504,
      "second 'channel.open' seen",
    ],
    [
      'a channel that is not open',
      (client) => client.writer.method(2, 'basic.qos', { prefetchSize: 0, prefetchCount: 1, global: false }),
      504,
      "expected 'channel.open'",
    ],
    ['a channel above the limit', (client) => client.writer.method(11, 'channel.open', {}), 530, 'channel_max (10)'],
    [
      'content without a publish',
      (client) => client.writer.content(1, Buffer.from([0, 0]), 2),
      505,
      'UNEXPECTED_FRAME',
    ],
    [
      'a method in the middle of a message',
      (client) => {
        client.writer.method(1, 'basic.publish', { exchange: '', routingKey: 'q', mandatory: false, immediate: false });
        client.writer.method(1, 'basic.qos', { prefetchSize: 0, prefetchCount: 1, global: false });
      },
      505,
      'expected content header or body',
    ],
    [
      'immediate',
      (client) =>
        client.writer.method(1, 'basic.publish', { exchange: '', routingKey: 'q', mandatory: false, immediate: true }),
      540,
      'immediate=true',
    ],
    [
      'a stream queue',
      (client) =>
        client.writer.method(1, 'queue.declare', {
          queue: 's',
          passive: false,
          durable: true,
          exclusive: false,
          autoDelete: false,
          nowait: false,
          arguments: new Map([['x-queue-type', text('stream')]]),
        }),
      540,
      'has no streams',
    ],
    ['a method of servers', (client) => client.writer.method(1, 'basic.get-empty', {}), 503, 'not for a server'],
  ])('by %s is told so and cut off', async (_, act, code, words) => {
    const client = new Raw();
    await client.open();
    act(client);
    client.flush();
    await client.expectClose(code, words);
    await stillServes();
  });

  it('gets its transaction at commit only', async () => {
    const client = new Raw();
    await client.open();
    const send = (): void => {
      client.writer.method(1, 'basic.publish', { exchange: '', routingKey: 'q', mandatory: false, immediate: false });
      client.writer.content(1, Buffer.concat([Buffer.from([0, 0]), Buffer.from('m')]), 2);
    };
    client.writer.method(1, 'queue.declare', {
      queue: 'q',
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: false,
      nowait: true,
      arguments: new Map(),
    });
    client.writer.method(1, 'tx.select', {});
    send();
    client.writer.method(1, 'tx.rollback', {});
    send();
    send();
    client.flush();
    await client.expectNext('tx.select-ok');
    await client.expectNext('tx.rollback-ok');
    const queue = broker.engine.vhosts.get('shop')?.queues.get('q');
    expect(queue?.ready).toBe(0);
    client.writer.method(1, 'tx.commit', {});
    client.flush();
    await client.expectNext('tx.commit-ok');
    expect(queue?.ready).toBe(2);
  });

  it('is cut off when it stays silent beyond two heartbeats', async () => {
    const client = new Raw();
    await client.login();
    await client.expectNext('connection.tune');
    client.writer.method(0, 'connection.tune-ok', { channelMax: 0, frameMax: 0, heartbeat: 1 });
    client.writer.method(0, 'connection.open', { vhost: '/' });
    client.flush();
    await client.expectNext('connection.open-ok');
    expect((await client.next()).name).toBe('closed');
  });
});

describe('a client that reads slowly', () => {
  it('gets everything in the end', async () => {
    const client = new Raw();
    await client.open();
    client.writer.method(1, 'queue.declare', {
      queue: 'q',
      passive: false,
      durable: false,
      exclusive: false,
      autoDelete: false,
      nowait: true,
      arguments: new Map(),
    });
    for (let index = 0; index < 40; index += 1) {
      client.writer.method(1, 'basic.publish', { exchange: '', routingKey: 'q', mandatory: false, immediate: false });
      client.writer.content(1, Buffer.concat([Buffer.from([0, 0]), Buffer.alloc(500_000, 'm')]), 2);
    }
    client.writer.method(1, 'basic.qos', { prefetchSize: 0, prefetchCount: 0, global: false });
    client.flush();
    await client.expectNext('basic.qos-ok');
    const reader = new Raw();
    await reader.open();
    reader.socket.pause();
    reader.writer.method(1, 'basic.consume', {
      queue: 'q',
      consumerTag: 't',
      noLocal: false,
      noAck: true,
      exclusive: false,
      nowait: true,
      arguments: new Map(),
    });
    reader.flush();
    const queue = broker.engine.vhosts.get('shop')?.queues.get('q');
    client.writer.method(1, 'basic.qos', { prefetchSize: 0, prefetchCount: 0, global: false });
    client.flush();
    await client.expectNext('basic.qos-ok');
    while (queue?.consumers.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(queue?.ready).toBeGreaterThan(10);
    reader.socket.resume();
    for (let index = 0; index < 40; index += 1) await reader.expectNext('basic.deliver');
    expect(queue?.ready).toBe(0);
  });
});

describe('a full disk', () => {
  it('refuses durable messages by nack, tells clients why, and lets them take what is there', async () => {
    let full = false;
    const refuse = (): never => {
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    };
    const where = mkdtempSync(join(tmpdir(), 'memt-full-'));
    const errors: string[] = [];
    const small = await createBroker({
      dataDir: where,
      layoutId: 'abc',
      project: 'shop',
      user: 'ana',
      password: 'pässword:1',
      vhosts: ['shop'],
      log: { info: () => undefined, warn: () => undefined, error: (line) => errors.push(line) },
      disk: {
        ...nodeDisk,
        writev: (...args) =>
          full ? Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })) : nodeDisk.writev(...args),
        writevSync: (...args) => (full ? refuse() : nodeDisk.writevSync(...args)),
      },
    });
    try {
      const client = new Raw(await small.listen(0));
      await client.login(
        new Map([
          ['capabilities', { type: 'F', value: new Map([['connection.blocked', { type: 't', value: true }]]) }],
        ]),
      );
      await client.expectNext('connection.tune');
      client.writer.method(0, 'connection.tune-ok', { channelMax: 0, frameMax: 0, heartbeat: 0 });
      client.writer.method(0, 'connection.open', { vhost: 'shop' });
      client.writer.method(1, 'channel.open', {});
      client.writer.method(1, 'confirm.select', { nowait: true });
      client.writer.method(1, 'queue.declare', {
        queue: 'q',
        passive: false,
        durable: true,
        exclusive: false,
        autoDelete: false,
        nowait: true,
        arguments: new Map(),
      });
      client.flush();
      await client.expectNext('connection.open-ok');
      await client.expectNext('channel.open-ok');
      const publish = (): void => {
        const properties = encodeProperties({ deliveryMode: 2 });
        client.writer.method(1, 'basic.publish', { exchange: '', routingKey: 'q', mandatory: false, immediate: false });
        client.writer.content(1, Buffer.concat([properties, Buffer.from('m')]), properties.length);
        client.flush();
      };
      publish();
      await client.expectNext('basic.ack');
      full = true;
      publish();
      const said = [await client.next(), await client.next()].map((one) => one.name).sort();
      expect(said).toEqual(['basic.nack', 'connection.blocked']);
      publish();
      await client.expectNext('basic.nack');
      client.writer.method(1, 'basic.get', { queue: 'q', noAck: true });
      client.flush();
      await client.expectNext('basic.get-ok');
      expect(small.engine.failure?.failure.kind).toBe('disk-full');
      expect(errors).toEqual([expect.stringContaining('no space left')]);
    } finally {
      await small.close(0);
      rmSync(where, { recursive: true, force: true });
    }
  });
});

describe('the page', () => {
  const get = (path: string, login = 'ana:pässword:1', init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${pagePort}${path}`, {
      ...init,
      headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` },
    });

  it('is for those who know the password', async () => {
    for (const response of [
      await get('/', 'ana:wrong'),
      await get('/api/overview', ''),
      await fetch(`http://127.0.0.1:${pagePort}/api/queues`),
    ]) {
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain('Basic');
    }
    expect((await get('/', 'ana:pässword:1', { method: 'POST' })).status).toBe(405);
    expect((await get('/api/definitions')).status).toBe(404);
  });

  it('shows queues, connections and whose broker it is, with names made harmless', async () => {
    const client = new Raw();
    await client.open();
    client.writer.method(1, 'queue.declare', {
      queue: '<script>',
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: false,
      nowait: false,
      arguments: new Map(),
    });
    client.writer.method(1, 'basic.publish', {
      exchange: '',
      routingKey: '<script>',
      mandatory: false,
      immediate: false,
    });
    client.writer.content(1, Buffer.concat([Buffer.from([0, 0]), Buffer.from('body')]), 2);
    client.writer.method(1, 'basic.get', { queue: '<script>', noAck: false });
    client.flush();
    await client.expectNext('queue.declare-ok');
    await client.expectNext('basic.get-ok');
    const html = await (await get('/')).text();
    expect(html).toContain('&#60;script&#62;');
    expect(html).not.toContain('<script>');
    expect(html).toContain('shop &#60;&#38;&#62;');
    expect(html).toContain('http-equiv="refresh"');
    const queues = (await (await get('/api/queues')).json()) as Record<string, unknown>[];
    expect(queues).toEqual([
      expect.objectContaining({
        vhost: 'shop',
        name: '<script>',
        type: 'classic',
        durable: true,
        messages: 1,
        messages_ready: 0,
        messages_unacknowledged: 1,
        consumers: 0,
      }),
    ]);
    const overview = (await (await get('/api/overview')).json()) as Record<string, unknown>;
    expect(overview).toMatchObject({
      product_name: 'memt embedded broker',
      rabbitmq_version: '3.10.8',
      object_totals: { connections: 1, channels: 1, queues: 1 },
      queue_totals: { messages: 1 },
      message_stats: { publish: 1, deliver_get: 1 },
      memt: { id: 'abc', read_only: null },
    });
  });
});
