import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Reader, SyntaxTrouble, Writer } from './bytes.js';
import { FrameReader, FrameTrouble, FrameWriter } from './frames.js';
import { METHODS, readMethod, writeMethod, type Args, type MethodName } from './methods.js';
import { encodeProperties, headersOf, readProperties } from './properties.js';
import { decodeTable, encodeTable, integerOf, sameField, text, type Field, type Table } from './table.js';

// amqplib's own codec, by path because its package does not export it: an independent second opinion.
const load = createRequire(import.meta.url);
const lib = join(load.resolve('amqplib'), '../lib');
const theirs = load(join(lib, 'defs.js')) as {
  decode(id: number, buffer: Buffer): Record<string, unknown>;
  encodeMethod(id: number, channel: number, fields: Record<string, unknown>): Buffer;
  encodeProperties(id: number, channel: number, size: number, fields: Record<string, unknown>): Buffer;
} & Record<string, number>;

const table: Table = new Map<string, Field>([
  ['text', text('ünï')],
  ['yes', { type: 't', value: true }],
  ['byte', { type: 'b', value: -5 }],
  ['short', { type: 's', value: -300 }],
  ['int', { type: 'I', value: -70_000 }],
  ['long', { type: 'l', value: -(2n ** 60n) }],
  ['double', { type: 'd', value: 0.1 }],
  ['float', { type: 'f', value: 0.5 }],
  ['nothing', { type: 'V', value: null }],
  ['time', { type: 'T', value: 1_700_000_000n }],
  ['bytes', { type: 'x', value: Buffer.from([0, 255]) }],
  ['price', { type: 'D', value: { scale: 2, digits: 1999 } }],
  ['list', { type: 'A', value: [text('a'), { type: 'A', value: [] }] }],
  ['inner', { type: 'F', value: new Map([['deep', { type: 'B', value: 200 }]]) }],
  ['unsigned', { type: 'u', value: 60_000 }],
  ['unsigned int', { type: 'i', value: 4_000_000_000 }],
]);

describe('tables', () => {
  it('come back with every type as it was', () => {
    expect(decodeTable(encodeTable(table))).toEqual(table);
  });

  it('cut at any byte are refused, never read beyond their end', () => {
    const bytes = encodeTable(table);
    for (let cut = 0; cut < bytes.length; cut += 1)
      expect(() => decodeTable(bytes.subarray(0, cut))).toThrow(SyntaxTrouble);
  });

  it('nested without end are refused', () => {
    let nested: Field = text('x');
    for (let depth = 0; depth < 200; depth += 1) nested = { type: 'A', value: [nested] };
    const bytes = encodeTable(new Map([['deep', nested]]));
    expect(() => decodeTable(bytes)).toThrow('nested too deeply');
  });

  it('with an unknown type are refused', () => {
    const bytes = encodeTable(new Map([['a', text('b')]]));
    bytes[6] = 'Z'.charCodeAt(0);
    expect(() => decodeTable(bytes)).toThrow("unknown type 'Z'");
  });

  it('compare integers by value', () => {
    expect(sameField({ type: 'b', value: 5 }, { type: 'l', value: 5n })).toBe(true);
    expect(sameField({ type: 'b', value: 5 }, text('5'))).toBe(false);
    expect(sameField(undefined, undefined)).toBe(true);
    expect(sameField(text('a'), undefined)).toBe(false);
    expect(integerOf({ type: 'd', value: 5 })).toBeUndefined();
  });
});

describe('methods', () => {
  const samples: { readonly [N in MethodName]?: Args<N> } = {
    'connection.start-ok': { properties: table, mechanism: 'PLAIN', response: Buffer.from('\0a\0b'), locale: 'en_US' },
    'connection.tune': { channelMax: 2047, frameMax: 131_072, heartbeat: 60 },
    'queue.declare': {
      queue: 'q',
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: true,
      nowait: true,
      arguments: table,
    },
    'exchange.declare': {
      exchange: 'x',
      type: 'topic',
      passive: true,
      durable: false,
      autoDelete: true,
      internal: true,
      nowait: false,
      arguments: new Map(),
    },
    'basic.consume': {
      queue: 'q',
      consumerTag: 't',
      noLocal: false,
      noAck: true,
      exclusive: false,
      nowait: true,
      arguments: new Map(),
    },
    'basic.deliver': { consumerTag: 't', deliveryTag: 2 ** 40 + 7, redelivered: true, exchange: 'x', routingKey: 'k' },
    'basic.nack': { deliveryTag: 9, multiple: true, requeue: false },
    'channel.close': { code: 406, text: 'why', classId: 50, methodId: 10 },
  };

  it.each(Object.keys(samples) as MethodName[])('%s comes back as it was', (name) => {
    const writer = new Writer(4);
    writeMethod(writer, name, samples[name] as never);
    expect(readMethod(writer.done())).toMatchObject({ name, args: samples[name] });
  });

  it.each(Object.keys(samples) as MethodName[])('%s cut short or too long is refused', (name) => {
    const writer = new Writer();
    writeMethod(writer, name, samples[name] as never);
    const bytes = writer.done();
    for (let cut = 4; cut < bytes.length; cut += 1)
      expect(() => readMethod(bytes.subarray(0, cut))).toThrow(SyntaxTrouble);
    expect(() => readMethod(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('longer than its fields');
  });

  it('have the same ids and layout as in amqplib', () => {
    const names = Object.keys(METHODS) as MethodName[];
    expect(names.length).toBeGreaterThan(50);
    for (const name of names) {
      const [classId, methodId] = METHODS[name];
      const title = name.replace(/(^|[.-])(\w)/g, (_, _dot: string, letter: string) => letter.toUpperCase());
      expect(theirs[title], name).toBe(classId * 65_536 + methodId);
    }
    const frame = theirs.encodeMethod(theirs['QueueDeclare'] ?? 0, 3, {
      queue: 'q',
      durable: true,
      nowait: true,
      arguments: { a: 1, b: 'two' },
    });
    const seen: unknown[] = [];
    new FrameReader().push(frame, (type, channel, payload) => seen.push(type, channel, readMethod(payload)) > 0);
    expect(seen).toMatchObject([
      1,
      3,
      {
        name: 'queue.declare',
        args: { queue: 'q', passive: false, durable: true, exclusive: false, autoDelete: false, nowait: true },
      },
    ]);
    const writer = new Writer();
    writeMethod(writer, 'basic.deliver', {
      consumerTag: 't',
      deliveryTag: 5,
      redelivered: true,
      exchange: 'x',
      routingKey: 'k',
    });
    expect(theirs.decode(theirs['BasicDeliver'] ?? 0, writer.done().subarray(4))).toMatchObject({
      consumerTag: 't',
      deliveryTag: 5,
      redelivered: true,
      exchange: 'x',
      routingKey: 'k',
    });
  });

  it('that nobody knows are told apart', () => {
    expect(readMethod(Buffer.from([0, 99, 0, 1]))).toEqual({ name: 'unknown', id: 99 * 65_536 + 1 });
  });
});

describe('properties', () => {
  it('come back as they were, and as amqplib writes them', () => {
    const given = {
      contentType: 'text/plain',
      contentEncoding: 'utf-8',
      headers: encodeTable(table),
      deliveryMode: 2,
      priority: 9,
      correlationId: 'c',
      replyTo: 'r',
      expiration: '10',
      messageId: 'm',
      timestamp: 1_700_000_000n,
      type: 't',
      userId: 'u',
      appId: 'a',
      clusterId: 'cl',
    };
    expect(readProperties(encodeProperties(given))).toEqual(given);
    expect(headersOf(given)).toEqual(table);
    expect(readProperties(encodeProperties({}))).toEqual({});
    const frame = theirs.encodeProperties(60, 1, 10, {
      messageId: 'm',
      deliveryMode: 2,
      priority: 3,
      headers: { a: 'b' },
    });
    const size = frame.readUInt32BE(3);
    const read = readProperties(frame.subarray(7 + 12, 7 + size));
    expect({ ...read, headers: headersOf(read) }).toEqual({
      messageId: 'm',
      deliveryMode: 2,
      priority: 3,
      headers: new Map([['a', text('b')]]),
    });
  });

  it('with more flags or bytes than known are refused', () => {
    expect(() => readProperties(Buffer.from([0, 1]))).toThrow(SyntaxTrouble);
    expect(() => readProperties(Buffer.from([0, 0, 9]))).toThrow('longer than their flags');
  });
});

describe('frames', () => {
  it('come out whole however the bytes are cut', () => {
    const writer = new FrameWriter();
    writer.method(1, 'channel.open', {});
    writer.content(2, Buffer.concat([encodeProperties({}), Buffer.alloc(300_000, 'b')]), 2);
    writer.heartbeat();
    expect(writer.size).toBeGreaterThan(300_000);
    const bytes = Buffer.concat(writer.take());
    expect(writer.size).toBe(0);
    for (const step of [997, 70_000, bytes.length]) {
      const reader = new FrameReader();
      const seen: [number, number, number][] = [];
      for (let at = 0; at < bytes.length; at += step) {
        reader.push(
          bytes.subarray(at, at + step),
          (type, channel, payload) => seen.push([type, channel, payload.length]) > 0,
        );
      }
      expect(seen, `in steps of ${step}`).toEqual([
        [1, 1, 5],
        [2, 2, 14],
        [3, 2, 131_064],
        [3, 2, 131_064],
        [3, 2, 37_872],
        [8, 0, 0],
      ]);
    }
  });

  it('too long or without their end mark are refused', () => {
    const reader = new FrameReader();
    expect(() => reader.push(Buffer.from([1, 0, 0, 255, 255, 255, 255, 0]), () => true)).toThrow(FrameTrouble);
    expect(() => new FrameReader().push(Buffer.from([8, 0, 0, 0, 0, 0, 0, 1]), () => true)).toThrow('end mark');
  });

  it('keep shortstr within 255 bytes', () => {
    const writer = new Writer();
    writer.shortstr('ü'.repeat(200));
    expect(new Reader(writer.done()).shortstr()).toBe('ü'.repeat(127));
  });
});
