import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  connect,
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  type GetMessage,
  type Options,
} from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createBroker } from '../../services/rabbitmq/embedded/server/server.js';
import { poll, withDeadline } from '../../src/util/deadline.js';
import { bootRealRabbitmq, hasRealRabbitmq } from '../rig/rabbitmq.js';

interface Target {
  readonly name: string;
  boot(): Promise<{ readonly url: string; stop(): Promise<void> }>;
}

const embedded: Target = {
  name: 'the embedded broker',
  boot: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'memt-amqp-'));
    const broker = await createBroker({
      dataDir: dir,
      layoutId: 'test',
      project: 'test',
      user: 'guest',
      password: 'guest',
      vhosts: [],
    });
    const port = await broker.listen(0);
    return {
      url: `amqp://guest:guest@127.0.0.1:${port}/`,
      stop: async () => {
        await broker.close();
        rmSync(dir, { recursive: true, force: true });
      },
    };
  },
};
const targets: Target[] = [embedded];
if (hasRealRabbitmq()) targets.push({ name: 'the real RabbitMQ', boot: bootRealRabbitmq });

let cases = 0;

describe.each(targets)('AMQP on $name', (target) => {
  let url: string;
  let stop: () => Promise<void>;
  beforeAll(async () => ({ url, stop } = await target.boot()));
  afterAll(() => stop());

  let connection: ChannelModel;
  let channel: ConfirmChannel;
  let open: ChannelModel[] = [];
  let number = 0;
  let queue: string;
  const trash: string[] = [];

  async function connected(to = url): Promise<ChannelModel> {
    const made = await connect(`${to}?heartbeat=10`, { noDelay: true });
    made.on('error', () => undefined);
    open.push(made);
    return made;
  }
  async function channelOf(on = connection): Promise<ConfirmChannel> {
    const made = await on.createConfirmChannel();
    made.on('error', () => undefined);
    return made;
  }

  beforeEach(async () => {
    cases += 1;
    number += 1;
    queue = `q-${number}`;
    trash.push(queue);
    connection = await connected();
    channel = await channelOf();
  });
  afterEach(async () => {
    for (const one of open) await one.close().catch(() => undefined);
    open = [];
    const cleaner = await connected();
    const on = await channelOf(cleaner);
    for (const name of trash.splice(0)) await on.deleteQueue(name).catch(() => undefined);
    await cleaner.close().catch(() => undefined);
    open = [];
  });

  /** What the broker says when it closes the channel or connection because of `work`. */
  async function refusal(work: Promise<unknown>): Promise<string> {
    const error: unknown = await work.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof Error)) throw new Error('it was not refused');
    return /with message "(.*)"$/s.exec(error.message)?.[1] ?? error.message;
  }
  const text = (message: GetMessage | ConsumeMessage | false | null): string =>
    message ? message.content.toString() : 'none';
  async function publish(to: string, body: string, options: Options.Publish = {}): Promise<void> {
    channel.sendToQueue(to, Buffer.from(body), options);
    await channel.waitForConfirms();
  }
  /** Messages as they come; `next` waits for one more. */
  async function consumer(on: Channel, from: string, options: Options.Consume = {}) {
    const got: (ConsumeMessage | null)[] = [];
    let wake = (): void => undefined;
    const { consumerTag } = await on.consume(
      from,
      (message) => {
        got.push(message);
        wake();
      },
      options,
    );
    const next = async (): Promise<ConsumeMessage | null> => {
      if (got.length === 0) await withDeadline(new Promise<void>((resolve) => (wake = resolve)), 5000, 'a message');
      return got.shift() ?? null;
    };
    const must = async (): Promise<ConsumeMessage> => {
      const message = await next();
      if (!message) throw new Error('the consumer was cancelled');
      return message;
    };
    return { consumerTag, next, must, got };
  }
  async function ready(name: string): Promise<number> {
    return (await channel.checkQueue(name)).messageCount;
  }
  async function until(check: () => Promise<boolean>): Promise<void> {
    await poll(async () => ((await check()) ? true : undefined), {
      everyMs: 10,
      ms: 5000,
      what: 'what the test waits for',
    });
  }
  const arrives = (name: string, count = 1): Promise<void> => until(async () => (await ready(name)) >= count);

  describe('declaring', () => {
    it('counts messages and consumers, and gives names', async () => {
      expect(await channel.assertQueue(queue)).toEqual({ queue, messageCount: 0, consumerCount: 0 });
      await publish(queue, 'a');
      await channel.consume(queue, () => undefined, { noAck: true });
      expect((await channel.checkQueue(queue)).consumerCount).toBe(1);
      const named = await channel.assertQueue('', { exclusive: true });
      expect(named.queue).toMatch(/^amq\.gen-[\w-]{22}$/);
    });

    it.each([
      [
        { durable: false },
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'Q' in vhost '/': received 'false' but current is 'true'",
      ],
      [
        { autoDelete: true },
        "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue 'Q' in vhost '/': received 'true' but current is 'false'",
      ],
      [
        { messageTtl: 2000 },
        "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'Q' in vhost '/': received the value '2000' of type 'short' but current is none",
      ],
      [
        { exclusive: true },
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'Q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
      ],
    ] as const)('refuses another declaration %o', async (options, said) => {
      await channel.assertQueue(queue);
      expect(await refusal(channel.assertQueue(queue, options))).toBe(said.replace('Q', queue));
    });

    it('compares values of arguments, not their widths', async () => {
      await channel.assertQueue(queue, { arguments: { 'x-max-length': 10, 'x-dead-letter-exchange': 'd' } });
      await channel.assertQueue(queue, {
        arguments: { 'x-max-length': { '!': 'int64', value: 10 }, 'x-dead-letter-exchange': 'd' },
      });
      expect(
        await refusal(channel.assertQueue(queue, { arguments: { 'x-max-length': 11, 'x-dead-letter-exchange': 'd' } })),
      ).toBe(
        `PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '${queue}' in vhost '/': received '11' but current is '10'`,
      );
    });

    it.each([
      [
        { 'x-message-ttl': -1 },
        "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'Q' in vhost '/': {value_negative,-1}",
      ],
      [{ 'x-expires': 0 }, "PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'Q' in vhost '/': {value_zero,0}"],
      [
        { 'x-max-length': 'many' },
        "PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'Q' in vhost '/': \"expected integer, got longstr\"",
      ],
      [
        { 'x-delivery-limit': 3 },
        "PRECONDITION_FAILED - invalid arg 'x-delivery-limit' for queue 'Q' in vhost '/' of queue type rabbit_classic_queue",
      ],
      [
        { 'x-queue-type': 'quorum', 'x-max-priority': 3 },
        "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'Q' in vhost '/' of queue type rabbit_quorum_queue",
      ],
    ])('refuses the arguments %o', async (args, said) => {
      expect(await refusal(channel.assertQueue(queue, { arguments: args }))).toBe(said.replace('Q', queue));
    });

    it.each([
      [{ durable: false }, "PRECONDITION_FAILED - invalid property 'non-durable' for queue 'Q' in vhost '/'"],
      [{ autoDelete: true }, "PRECONDITION_FAILED - invalid property 'auto-delete' for queue 'Q' in vhost '/'"],
      [{ exclusive: true }, "PRECONDITION_FAILED - invalid property 'exclusive-owner' for queue 'Q' in vhost '/'"],
    ])('refuses a quorum queue that is %o', async (options, said) => {
      expect(await refusal(channel.assertQueue(queue, { ...options, arguments: { 'x-queue-type': 'quorum' } }))).toBe(
        said.replace('Q', queue),
      );
    });

    it('refuses what is missing or reserved, by 404 and 403', async () => {
      expect(await refusal(channel.checkQueue('missing'))).toBe("NOT_FOUND - no queue 'missing' in vhost '/'");
      expect(await refusal((await channelOf()).checkExchange('missing'))).toBe(
        "NOT_FOUND - no exchange 'missing' in vhost '/'",
      );
      expect(await refusal((await channelOf()).consume('missing', () => undefined))).toBe(
        "NOT_FOUND - no queue 'missing' in vhost '/'",
      );
      expect(await refusal((await channelOf()).assertQueue('amq.mine'))).toBe(
        "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
      );
      expect(await refusal((await channelOf()).assertExchange('amq.mine', 'topic'))).toBe(
        "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
      );
      await channel.assertQueue(queue).catch(() => undefined);
      const on = await channelOf();
      await on.assertQueue(queue);
      expect(await refusal(on.bindQueue(queue, '', 'key'))).toBe(
        'ACCESS_REFUSED - operation not permitted on the default exchange',
      );
    });

    it('refuses an exchange of another type by 406 and of an unknown one by 503', async () => {
      await channel.assertExchange(`x-${queue}`, 'topic', { durable: false });
      expect(await refusal(channel.assertExchange(`x-${queue}`, 'fanout', { durable: false }))).toBe(
        `PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x-${queue}' in vhost '/': received 'fanout' but current is 'topic'`,
      );
      const on = await channelOf();
      await on.deleteExchange(`x-${queue}`);
      const closed = new Promise<Error>((resolve) => connection.once('error', resolve));
      void on.assertExchange('x', 'x-delayed-message').catch(() => undefined);
      expect((await closed).message).toContain("COMMAND_INVALID - unknown exchange type 'x-delayed-message'");
    });

    it('keeps an exclusive queue to its connection, 405 to others, and deletes it with it', async () => {
      await channel.assertQueue(queue, { exclusive: true });
      const other = await connected();
      const said = `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${queue}' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`;
      expect(await refusal((await channelOf(other)).checkQueue(queue))).toBe(said);
      expect(await refusal((await channelOf(other)).consume(queue, () => undefined))).toBe(said);
      expect(await refusal((await channelOf(other)).deleteQueue(queue))).toBe(said);
      await connection.close();
      const again = await channelOf(other);
      await again.assertQueue(queue, { durable: false });
    });

    it('deletes if-unused and if-empty only then', async () => {
      await channel.assertQueue(queue);
      await publish(queue, 'a');
      const on = await channelOf();
      expect(await refusal(on.deleteQueue(queue, { ifEmpty: true }))).toBe(
        `PRECONDITION_FAILED - queue '${queue}' in vhost '/' not empty`,
      );
      await channel.consume(queue, () => undefined);
      expect(await refusal((await channelOf()).deleteQueue(queue, { ifUnused: true }))).toBe(
        `PRECONDITION_FAILED - queue '${queue}' in vhost '/' in use`,
      );
      expect((await (await channelOf()).deleteQueue('never-there')).messageCount).toBe(0);
    });

    it('deletes an auto-delete queue with its last consumer', async () => {
      await channel.assertQueue(queue, { autoDelete: true });
      const { consumerTag } = await channel.consume(queue, () => undefined);
      await channel.cancel(consumerTag);
      const on = await channelOf();
      expect(await refusal(on.checkQueue(queue))).toContain('NOT_FOUND');
    });

    it('deletes a queue that is unused for x-expires', async () => {
      const started = Date.now();
      await channel.assertQueue(queue, { expires: 200 });
      // Asking for the queue would keep it alive; its exchange goes with it.
      await channel.assertExchange(`x-${queue}`, 'fanout', { durable: false, autoDelete: true });
      await channel.bindQueue(queue, `x-${queue}`, '');
      await until(async () => {
        const on = await channelOf();
        const gone = await on.checkExchange(`x-${queue}`).then(
          () => false,
          () => true,
        );
        if (!gone) await on.close();
        return gone;
      });
      expect(Date.now() - started).toBeGreaterThan(150);
    });
  });

  describe('routing', () => {
    async function routes(
      type: string,
      patterns: readonly [string, string, Record<string, unknown>?][],
      durable = false,
    ): Promise<string> {
      const exchange = `x-${queue}`;
      await channel.assertExchange(exchange, type, { durable, autoDelete: true });
      for (const [name, key, args] of patterns) {
        trash.push(name);
        await channel.assertQueue(name, { durable });
        await channel.bindQueue(name, exchange, key, args);
      }
      return exchange;
    }
    async function reached(names: readonly string[]): Promise<string[]> {
      const hit: string[] = [];
      for (const name of names) if ((await channel.purgeQueue(name)).messageCount > 0) hit.push(name);
      return hit;
    }

    it('by topic patterns', async () => {
      const patterns = ['#', '*', 'a.#', '#.z', 'a.*.z', 'a.#.z', '*.b.*', '#.b.#', '*.*', 'a', ''].map(
        (key): [string, string] => [`${queue}:${key}`, key],
      );
      const exchange = await routes('topic', patterns);
      const names = patterns.map(([name]) => name);
      const expected: Record<string, string[]> = {
        '': ['#', ''],
        a: ['#', '*', 'a.#', 'a'],
        'a.b': ['#', 'a.#', '#.b.#', '*.*'],
        'a.z': ['#', 'a.#', '#.z', 'a.#.z', '*.*'],
        'a.b.z': ['#', 'a.#', '#.z', 'a.*.z', 'a.#.z', '*.b.*', '#.b.#'],
        'a.b.b.z': ['#', 'a.#', '#.z', 'a.#.z', '#.b.#'],
        'z.b.a': ['#', '*.b.*', '#.b.#'],
      };
      for (const [key, keys] of Object.entries(expected)) {
        channel.publish(exchange, key, Buffer.from('m'));
        await channel.waitForConfirms();
        expect(await reached(names), key).toEqual(keys.map((one) => `${queue}:${one}`));
      }
    });

    it('by headers, fanout and direct keys, each queue once', async () => {
      const headers = await routes('headers', [
        [`${queue}-all`, '', { 'x-match': 'all', a: 1, b: 'two' }],
        [`${queue}-any`, '', { 'x-match': 'any', a: 1, b: 'two' }],
      ]);
      const names = [`${queue}-all`, `${queue}-any`];
      for (const [given, hit] of [
        [{ a: 1, b: 'two', c: 3 }, names],
        [{ a: 1 }, names.slice(1)],
        [{ a: 2, b: 'three' }, []],
        [{}, []],
      ] as const) {
        channel.publish(headers, '', Buffer.from('m'), { headers: given });
        await channel.waitForConfirms();
        expect(await reached(names)).toEqual(hit);
      }
      await channel.assertQueue(queue, { durable: false });
      for (const key of ['one', 'two']) await channel.bindQueue(queue, 'amq.direct', key);
      await channel.bindQueue(queue, 'amq.fanout', 'any');
      channel.publish('amq.direct', 'two', Buffer.from('1'));
      channel.publish('amq.direct', 'three', Buffer.from('2'));
      channel.publish('amq.fanout', 'three', Buffer.from('3'));
      await channel.waitForConfirms();
      expect([
        text(await channel.get(queue, { noAck: true })),
        text(await channel.get(queue, { noAck: true })),
        await channel.get(queue),
      ]).toEqual(['1', '3', false]);
    });

    it('from exchange to exchange, to the alternate exchange, and to CC and BCC', async () => {
      await channel.assertExchange(`alt-${queue}`, 'fanout', { durable: false, autoDelete: true });
      await channel.assertExchange(`from-${queue}`, 'direct', {
        durable: false,
        autoDelete: true,
        alternateExchange: `alt-${queue}`,
      });
      await channel.assertExchange(`to-${queue}`, 'topic', { durable: false, autoDelete: true });
      await channel.bindExchange(`to-${queue}`, `from-${queue}`, 'k.1');
      trash.push(`${queue}-alt`, `${queue}-bcc`);
      await channel.assertQueue(queue, { durable: false });
      await channel.assertQueue(`${queue}-alt`, { durable: false });
      await channel.assertQueue(`${queue}-bcc`, { durable: false });
      await channel.bindQueue(queue, `to-${queue}`, 'k.*');
      await channel.bindQueue(`${queue}-alt`, `alt-${queue}`, '');
      channel.publish(`from-${queue}`, 'k.1', Buffer.from('through'));
      channel.publish(`from-${queue}`, 'other', Buffer.from('alternate'));
      await channel.waitForConfirms();
      expect(text(await channel.get(queue))).toBe('through');
      expect(text(await channel.get(`${queue}-alt`))).toBe('alternate');
      channel.sendToQueue(queue, Buffer.from('copied'), { CC: `${queue}-alt`, BCC: [`${queue}-bcc`] });
      await channel.waitForConfirms();
      const copies = [await channel.get(queue), await channel.get(`${queue}-alt`), await channel.get(`${queue}-bcc`)];
      expect(copies.map(text)).toEqual(['copied', 'copied', 'copied']);
      for (const copy of copies) expect(copy && copy.properties.headers).toEqual({ CC: [`${queue}-alt`] });
    });

    it('refuses publishing to nothing and to an internal exchange by closing the channel', async () => {
      const gone = async (on: ConfirmChannel, exchange: string): Promise<string> => {
        const error = new Promise<Error>((resolve) => on.once('error', resolve));
        on.publish(exchange, 'k', Buffer.from('m'));
        return (await withDeadline(error, 5000, 'the refusal')).message;
      };
      expect(await gone(channel, 'missing')).toContain(
        "404 (NOT-FOUND) with message \"NOT_FOUND - no exchange 'missing' in vhost '/'\"",
      );
      const on = await channelOf();
      await on.assertExchange(`in-${queue}`, 'fanout', { durable: false, internal: true });
      expect(await gone(on, `in-${queue}`)).toContain(
        `ACCESS_REFUSED - cannot publish to internal exchange 'in-${queue}' in vhost '/'`,
      );
      await (await channelOf()).deleteExchange(`in-${queue}`);
    });
  });

  describe('publishing', () => {
    it('confirms in order and returns what is mandatory and goes nowhere', async () => {
      await channel.assertQueue(queue);
      const order: string[] = [];
      const returned: string[] = [];
      channel.on(
        'return',
        (message: { fields: { replyCode: number; replyText: string }; properties: { messageId: string } }) =>
          returned.push(`${message.fields.replyCode} ${message.fields.replyText} ${message.properties.messageId}`),
      );
      for (let index = 0; index < 50; index += 1) {
        channel.publish(
          '',
          index % 10 === 3 ? 'nowhere' : queue,
          Buffer.from('m'),
          { mandatory: true, messageId: String(index), persistent: index % 2 === 0 },
          (error: unknown) => order.push(`${index} ${error ? 'nack' : 'ack'} ${returned.length}`),
        );
      }
      await channel.waitForConfirms();
      expect(order.map((line) => Number(line.split(' ')[0])).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 50 }, (_, index) => index),
      );
      expect(order.every((line) => line.includes('ack'))).toBe(true);
      expect(returned).toEqual([
        '312 NO_ROUTE 3',
        '312 NO_ROUTE 13',
        '312 NO_ROUTE 23',
        '312 NO_ROUTE 33',
        '312 NO_ROUTE 43',
      ]);
      // A message's return comes before its confirm.
      for (const line of order) {
        const [index = 0, , seen = 0] = line.split(' ').map(Number);
        if (index % 10 === 3) expect(seen).toBeGreaterThan(Math.floor(index / 10));
      }
      expect(await ready(queue)).toBe(45);
    });

    it('keeps every property and header type, and bodies of any size', async () => {
      await channel.assertQueue(queue);
      const properties = {
        contentType: 'text/plain',
        contentEncoding: 'utf-8',
        deliveryMode: 2,
        priority: 7,
        correlationId: 'c-1',
        replyTo: 'somewhere',
        expiration: '60000',
        messageId: 'm-1',
        timestamp: 1_700_000_000,
        type: 'kind',
        userId: 'guest',
        appId: 'app',
        headers: {
          text: 'ünï',
          yes: true,
          no: false,
          small: 1,
          negative: -5,
          large: 2 ** 40,
          half: 0.5,
          nothing: null,
          list: [1, 'two', [3]],
          inner: { deep: { er: 'x' } },
          bytes: Buffer.from([0, 255, 128]),
          time: { '!': 'timestamp', value: 1_700_000_000 },
        },
      };
      channel.sendToQueue(queue, Buffer.from('body'), properties);
      await channel.waitForConfirms();
      const message = await channel.get(queue);
      if (!message) throw new Error('nothing there');
      const { headers, deliveryMode, ...rest } = message.properties;
      const { headers: sent, ...expected } = properties;
      expect({ ...rest, deliveryMode }).toMatchObject(expected);
      expect(headers).toEqual({ ...sent, time: { '!': 'timestamp', value: 1_700_000_000 } });
      channel.ack(message);
      for (const size of [0, 1, 131_064, 131_065, 500_000, 3_000_000]) {
        const body = Buffer.alloc(size, 'abc');
        channel.sendToQueue(queue, body, { persistent: true });
        await channel.waitForConfirms();
        const back = await channel.get(queue, { noAck: true });
        expect(back && back.content.equals(body), String(size)).toBe(true);
      }
    });

    it('refuses a wrong expiration and another user', async () => {
      await channel.assertQueue(queue);
      const closed = async (options: Options.Publish): Promise<string> => {
        const on = await channelOf();
        const error = new Promise<Error>((resolve) => on.once('error', resolve));
        on.sendToQueue(queue, Buffer.from('m'), options);
        return (await withDeadline(error, 5000, 'the refusal')).message;
      };
      expect(await closed({ expiration: 'soon' })).toContain("PRECONDITION_FAILED - invalid expiration 'soon'");
      expect(await closed({ expiration: '10s' })).toContain("PRECONDITION_FAILED - invalid expiration '10s'");
      expect(await closed({ userId: 'ana' })).toContain(
        "PRECONDITION_FAILED - user_id property set to 'ana' but authenticated user was 'guest'",
      );
    });

    it('refuses by nack what does not fit into a reject-publish queue', async () => {
      await channel.assertQueue(queue, { arguments: { 'x-max-length': 2, 'x-overflow': 'reject-publish' } });
      const answers: string[] = [];
      for (let index = 0; index < 4; index += 1) {
        channel.sendToQueue(queue, Buffer.from(String(index)), {}, (error: unknown) =>
          answers.push(`${index}${error ? ' nack' : ''}`),
        );
        await channel.waitForConfirms().catch(() => undefined);
      }
      expect(answers).toEqual(['0', '1', '2 nack', '3 nack']);
      expect(await ready(queue)).toBe(2);
    });
  });

  describe('consuming', () => {
    it('acknowledges, redelivers with the flag, and knows unknown tags', async () => {
      await channel.assertQueue(queue);
      await publish(queue, 'a');
      await publish(queue, 'b');
      const first = await channel.get(queue);
      if (!first) throw new Error('nothing there');
      expect([text(first), first.fields.redelivered, first.fields.messageCount]).toEqual(['a', false, 1]);
      channel.nack(first);
      const again = await channel.get(queue);
      if (!again) throw new Error('nothing there');
      expect([text(again), again.fields.redelivered]).toEqual(['a', true]);
      channel.ack(again);
      expect(await ready(queue)).toBe(1);
      const on = await channelOf();
      const error = new Promise<Error>((resolve) => on.once('error', resolve));
      on.ack({ fields: { deliveryTag: 77 } } as GetMessage);
      expect((await error).message).toContain('PRECONDITION_FAILED - unknown delivery tag 77');
    });

    it.each(['classic', 'quorum'])('puts messages of a %s queue back in their order', async (type) => {
      await channel.assertQueue(queue, { arguments: { 'x-queue-type': type } });
      for (const body of ['1', '2', '3', '4', '5']) await publish(queue, body);
      const on = await channelOf();
      const { must } = await consumer(on, queue);
      const messages = [await must(), await must(), await must(), await must(), await must()];
      on.ack(messages[1] as ConsumeMessage);
      await on.close();
      const order: string[] = [];
      for (let index = 0; index < 4; index += 1) order.push(text(await channel.get(queue)));
      expect(order).toEqual(['1', '3', '4', '5']);
    });

    it('takes back several by one nack, in order, before what waits', async () => {
      await channel.assertQueue(queue);
      for (const body of ['1', '2', '3', '4', '5']) await publish(queue, body);
      await channel.prefetch(3);
      const { must } = await consumer(channel, queue);
      const [one, two, three] = [await must(), await must(), await must()];
      expect([one, two, three].map(text)).toEqual(['1', '2', '3']);
      channel.nack(two, true, true);
      const back = [await must(), await must()];
      expect(back.map((message) => [text(message), message.fields.redelivered])).toEqual([
        ['1', true],
        ['2', true],
      ]);
      channel.ack(three);
      expect(text(await must())).toBe('4');
    });

    it('returns what a lost connection held, with the flag', async () => {
      await channel.assertQueue(queue);
      await publish(queue, 'a');
      const other = await connected();
      const { must } = await consumer(await channelOf(other), queue);
      await must();
      await other.close();
      await arrives(queue);
      const message = await channel.get(queue);
      expect(message && message.fields.redelivered).toBe(true);
    });

    it('keeps to prefetch per consumer', async () => {
      await channel.assertQueue(queue);
      for (let index = 0; index < 10; index += 1) channel.sendToQueue(queue, Buffer.from(String(index)));
      await channel.waitForConfirms();
      const on = await channelOf();
      await on.prefetch(2);
      const a = await consumer(on, queue);
      const b = await consumer(on, queue);
      await until(async () => (await ready(queue)) === 6);
      on.ack(await a.must());
      await until(async () => (await ready(queue)) === 5);
      expect(a.got.length + b.got.length).toBeGreaterThanOrEqual(3);
    });

    it('keeps to prefetch per channel', async () => {
      await channel.assertQueue(queue);
      for (let index = 0; index < 10; index += 1) channel.sendToQueue(queue, Buffer.from(String(index)));
      await channel.waitForConfirms();
      const on = await channelOf();
      await on.prefetch(3, true);
      const a = await consumer(on, queue);
      await consumer(on, queue);
      await until(async () => (await ready(queue)) === 7);
      on.ack(await a.must());
      await until(async () => (await ready(queue)) === 6);
    });

    it('gives one consumer everything when it is exclusive, and refuses a second by 403', async () => {
      await channel.assertQueue(queue);
      await channel.consume(queue, () => undefined, { exclusive: true });
      expect(await refusal((await channelOf()).consume(queue, () => undefined))).toBe(
        `ACCESS_REFUSED - queue '${queue}' in vhost '/' in exclusive use`,
      );
    });

    it('prefers the consumer of higher priority', async () => {
      await channel.assertQueue(queue);
      const low = await consumer(channel, queue, { noAck: true, priority: 1 });
      const high = await consumer(channel, queue, { noAck: true, priority: 10 });
      for (const body of ['1', '2', '3']) await publish(queue, body);
      expect([text(await high.next()), text(await high.next()), text(await high.next())]).toEqual(['1', '2', '3']);
      expect(low.got).toEqual([]);
    });

    it('serves one active consumer, then the next', async () => {
      await channel.assertQueue(queue, { arguments: { 'x-single-active-consumer': true } });
      const first = await consumer(channel, queue, { noAck: true });
      const second = await consumer(channel, queue, { noAck: true });
      for (const body of ['1', '2']) await publish(queue, body);
      expect([text(await first.next()), text(await first.next())]).toEqual(['1', '2']);
      await channel.cancel(first.consumerTag);
      await publish(queue, '3');
      expect(text(await second.next())).toBe('3');
      expect(first.got).toEqual([]);
    });

    it('tells consumers that their queue is gone', async () => {
      await channel.assertQueue(queue);
      const { next } = await consumer(channel, queue);
      await (await channelOf()).deleteQueue(queue);
      expect(await next()).toBe(null);
    });

    it('redelivers everything on recover', async () => {
      await channel.assertQueue(queue);
      await publish(queue, '1');
      await publish(queue, '2');
      const { must } = await consumer(channel, queue);
      expect([await must(), await must()].map(text)).toEqual(['1', '2']);
      await channel.recover();
      const again = [await must(), await must()];
      expect(again.map((message) => [text(message), message.fields.redelivered])).toEqual([
        ['1', true],
        ['2', true],
      ]);
    });

    it('answers directly, without a queue', async () => {
      await channel.assertQueue(queue);
      const replies = await consumer(channel, 'amq.rabbitmq.reply-to', { noAck: true });
      await publish(queue, 'question', { replyTo: 'amq.rabbitmq.reply-to', correlationId: '7' });
      const other = await channelOf(await connected());
      const question = await other.get(queue, { noAck: true });
      if (!question) throw new Error('nothing there');
      const address = String(question.properties.replyTo);
      expect(address).toMatch(/^amq\.rabbitmq\.reply-to\..+/);
      other.sendToQueue(address, Buffer.from('answer'), { correlationId: String(question.properties.correlationId) });
      const answer = await replies.must();
      expect([text(answer), answer.properties.correlationId, answer.fields.exchange]).toEqual(['answer', '7', '']);
      const late: string[] = [];
      other.on('return', () => late.push('returned'));
      await channel.cancel(replies.consumerTag);
      other.sendToQueue(address, Buffer.from('late'), { mandatory: true });
      await other.waitForConfirms();
      expect(late).toEqual(['returned']);
      expect(await refusal((await channelOf()).consume('amq.rabbitmq.reply-to', () => undefined))).toBe(
        'PRECONDITION_FAILED - reply consumer cannot acknowledge',
      );
    });
  });

  describe('dead letters', () => {
    interface Death {
      readonly count: number;
      readonly reason: string;
      readonly queue: string;
      readonly exchange: string;
      readonly 'routing-keys': string[];
      readonly 'original-expiration'?: string;
      readonly time: unknown;
    }
    async function withGrave(args: Record<string, unknown>): Promise<string> {
      const grave = `${queue}-dead`;
      trash.push(grave);
      await channel.assertQueue(grave);
      await channel.assertQueue(queue, {
        arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': grave, ...args },
      });
      return grave;
    }
    async function buried(grave: string): Promise<{ message: GetMessage; deaths: Death[] }> {
      await arrives(grave);
      const message = await channel.get(grave, { noAck: true });
      if (!message) throw new Error('nothing there');
      return { message, deaths: (message.properties.headers?.['x-death'] ?? []) as unknown as Death[] };
    }
    const strip = ({ time, ...death }: Death): Omit<Death, 'time'> => {
      expect(time).toMatchObject({ '!': 'timestamp' });
      return death;
    };

    it('carry x-death and the first death when rejected', async () => {
      const grave = await withGrave({});
      channel.sendToQueue(queue, Buffer.from('m'), { headers: { mine: 1 }, messageId: 'id' });
      await channel.waitForConfirms();
      const message = await channel.get(queue);
      if (!message) throw new Error('nothing there');
      channel.reject(message, false);
      const { message: dead, deaths } = await buried(grave);
      expect(deaths.map(strip)).toEqual([
        { count: 1, reason: 'rejected', queue, exchange: '', 'routing-keys': [queue] },
      ]);
      expect(dead.properties.headers).toMatchObject({
        mine: 1,
        'x-first-death-exchange': '',
        'x-first-death-queue': queue,
        'x-first-death-reason': 'rejected',
      });
      expect([
        dead.fields.exchange,
        dead.fields.routingKey,
        dead.properties.messageId,
        dead.fields.redelivered,
      ]).toEqual(['', grave, 'id', false]);
    });

    it('lose their expiration and say what it was when it passed', async () => {
      const grave = await withGrave({});
      await publish(queue, 'm', { expiration: '30' });
      const { message, deaths } = await buried(grave);
      expect(deaths.map(strip)).toEqual([
        { count: 1, reason: 'expired', queue, exchange: '', 'routing-keys': [queue], 'original-expiration': '30' },
      ]);
      expect(message.properties.expiration).toBeUndefined();
    });

    it('expire by the time to live of their queue, in order', async () => {
      const grave = await withGrave({ 'x-message-ttl': 50 });
      await publish(queue, '1');
      await publish(queue, '2');
      await arrives(grave, 2);
      expect([text((await buried(grave)).message), text((await buried(grave)).message)]).toEqual(['1', '2']);
    });

    it('wait behind a message that lives longer', async () => {
      const grave = await withGrave({});
      await publish(queue, 'long', { expiration: '600' });
      await publish(queue, 'short', { expiration: '1' });
      await arrives(grave, 2);
      expect([text((await buried(grave)).message), text((await buried(grave)).message)]).toEqual(['long', 'short']);
    });

    it('fall out at the head of a full queue', async () => {
      const grave = await withGrave({ 'x-max-length': 2 });
      for (const body of ['1', '2', '3', '4']) await publish(queue, body);
      await arrives(grave, 2);
      const first = await buried(grave);
      expect([text(first.message), first.deaths.map(strip)]).toEqual([
        '1',
        [{ count: 1, reason: 'maxlen', queue, exchange: '', 'routing-keys': [queue] }],
      ]);
      expect(text((await buried(grave)).message)).toBe('2');
      expect([text(await channel.get(queue)), text(await channel.get(queue))]).toEqual(['3', '4']);
    });

    it('count repeated deaths, the newest first', async () => {
      const grave = await withGrave({});
      await channel.deleteQueue(grave);
      await channel.assertQueue(grave, {
        arguments: { 'x-message-ttl': 20, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue },
      });
      await publish(queue, 'm');
      for (let round = 0; round < 3; round += 1) {
        await arrives(queue);
        const message = await channel.get(queue);
        if (!message) throw new Error('nothing there');
        if (round < 2) channel.reject(message, false);
        else {
          const deaths = message.properties.headers?.['x-death'] as unknown as Death[];
          expect(deaths.map(strip)).toEqual([
            { count: 2, reason: 'expired', queue: grave, exchange: '', 'routing-keys': [grave] },
            { count: 2, reason: 'rejected', queue, exchange: '', 'routing-keys': [queue] },
          ]);
        }
      }
    });

    it('are dropped when they would only go round', async () => {
      const grave = `${queue}-dead`;
      trash.push(grave);
      await channel.assertQueue(queue, {
        arguments: { 'x-message-ttl': 10, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': grave },
      });
      await channel.assertQueue(grave, {
        arguments: { 'x-message-ttl': 10, 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue },
      });
      await publish(queue, 'm');
      await until(async () => (await ready(queue)) === 0 && (await ready(grave)) === 0);
    });

    it('leave a quorum queue at its delivery limit', async () => {
      const grave = await withGrave({ 'x-queue-type': 'quorum', 'x-delivery-limit': 2 });
      await publish(queue, 'poison', { persistent: true });
      const { must, got } = await consumer(channel, queue);
      const seen: unknown[] = [];
      for (let round = 0; round < 3; round += 1) {
        const message = await must();
        seen.push([message.fields.redelivered, message.properties.headers?.['x-delivery-count']]);
        channel.nack(message);
      }
      expect(seen).toEqual([
        [false, undefined],
        [true, 1],
        [true, 2],
      ]);
      const { message, deaths } = await buried(grave);
      expect(deaths.map(strip)).toEqual([
        { count: 1, reason: 'delivery_limit', queue, exchange: '', 'routing-keys': [queue] },
      ]);
      expect(text(message)).toBe('poison');
      expect(got).toEqual([]);
    });

    it('move at least once when a quorum queue is told so', async () => {
      const grave = await withGrave({
        'x-queue-type': 'quorum',
        'x-dead-letter-strategy': 'at-least-once',
        'x-overflow': 'reject-publish',
        'x-message-ttl': 50,
      });
      await publish(queue, 'm', { persistent: true });
      const { deaths } = await buried(grave);
      expect(deaths.map((death) => [death.reason, death.queue, death.count])).toEqual([['expired', queue, 1]]);
    });

    it('keep their own routing key when none is set', async () => {
      const exchange = `dlx-${queue}`;
      trash.push(`${queue}-dead`);
      await channel.assertExchange(exchange, 'topic', { durable: false, autoDelete: true });
      await channel.assertQueue(`${queue}-dead`);
      await channel.bindQueue(`${queue}-dead`, exchange, '#');
      await channel.assertQueue(queue, { arguments: { 'x-dead-letter-exchange': exchange, 'x-message-ttl': 10 } });
      await publish(queue, 'm');
      const { message } = await buried(`${queue}-dead`);
      expect([message.fields.exchange, message.fields.routingKey]).toEqual([exchange, queue]);
    });
  });

  describe('priorities', () => {
    it('come out by priority, then by age', async () => {
      await channel.assertQueue(queue, { maxPriority: 5 });
      for (const [body, priority] of [
        ['a', 0],
        ['b', 5],
        ['c', 3],
        ['d', 9],
        ['e', 3],
        ['f', undefined],
      ] as const) {
        await publish(queue, body, priority === undefined ? {} : { priority });
      }
      const order: string[] = [];
      for (let index = 0; index < 6; index += 1) order.push(text(await channel.get(queue)));
      expect(order).toEqual(['b', 'd', 'c', 'e', 'a', 'f']);
    });
  });

  describe('connections', () => {
    it('are refused with a wrong password (403) or an unknown virtual host (530)', async () => {
      await expect(connected(url.replace('guest:guest', 'guest:wrong'))).rejects.toThrow(/403 \(ACCESS-REFUSED\)/);
      await expect(connected(`${url}nowhere`)).rejects.toThrow('Expected ConnectionOpenOk; got <ConnectionClose');
    });

    it('say what the server is and can do', () => {
      const properties = connection.connection.serverProperties as unknown as {
        version: string;
        capabilities: Record<string, boolean>;
      };
      expect(properties.version).toBe('3.10.8');
      for (const name of [
        'publisher_confirms',
        'exchange_exchange_bindings',
        'basic.nack',
        'consumer_cancel_notify',
        'connection.blocked',
        'per_consumer_qos',
        'authentication_failure_close',
        'direct_reply_to',
      ]) {
        expect(properties.capabilities[name], name).toBe(true);
      }
    });

    it('end when a consumer tag is used twice (530) or global qos meets a quorum queue (540)', async () => {
      await channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } });
      const ended = async (work: (on: Channel) => Promise<unknown>): Promise<string> => {
        const made = await connected();
        const error = new Promise<Error>((resolve) => made.once('error', resolve));
        void work(await channelOf(made)).catch(() => undefined);
        return (await withDeadline(error, 5000, 'the refusal')).message;
      };
      expect(
        await ended(async (on) => {
          await on.consume(queue, () => undefined, { consumerTag: 't' });
          await on.consume(queue, () => undefined, { consumerTag: 't' });
        }),
      ).toContain('530 (NOT-ALLOWED) with message "NOT_ALLOWED - attempt to reuse consumer tag \'t\'"');
      expect(
        await ended(async (on) => {
          await on.prefetch(5, true);
          await on.consume(queue, () => undefined);
        }),
      ).toContain(
        `540 (NOT-IMPLEMENTED) with message "NOT_IMPLEMENTED - queue '${queue}' in vhost '/' does not support global qos"`,
      );
    });
  });
});

describe('the real RabbitMQ', () => {
  it('was compared with', () => {
    if (hasRealRabbitmq()) {
      expect(targets).toHaveLength(2);
      return;
    }
    process.stderr.write(
      `\nSKIPPED: ${cases} AMQP contract tests against the real RabbitMQ, which is not installed here\n`,
    );
    expect(process.env['CI'] === 'true' ? 'rabbitmq-server must be installed with CI=true' : 'skipped').toBe('skipped');
  });
});
