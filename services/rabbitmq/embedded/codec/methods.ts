import { Reader, SyntaxTrouble, Writer } from './bytes.js';
import { readTable, writeTable, type Table } from './table.js';

interface Types {
  octet: number;
  short: number;
  long: number;
  tag: number;
  shortstr: string;
  longstr: Buffer;
  table: Table;
  bit: boolean;
}
type Shape = Readonly<Record<string, keyof Types>>;

const NONE = {} as const;
const CLOSE = { code: 'short', text: 'shortstr', classId: 'short', methodId: 'short' } as const;
const BINDING = {
  reserved: 'short',
  destination: 'shortstr',
  source: 'shortstr',
  routingKey: 'shortstr',
  nowait: 'bit',
  arguments: 'table',
} as const;
const QUEUE_BINDING = { reserved: 'short', queue: 'shortstr', exchange: 'shortstr', routingKey: 'shortstr' } as const;

/** AMQP 0-9-1 with RabbitMQ's extensions: ids and fields in wire order. `reserved` fields are read and ignored, written as zero. */
export const METHODS = {
  'connection.start': [
    10,
    10,
    { major: 'octet', minor: 'octet', properties: 'table', mechanisms: 'longstr', locales: 'longstr' },
  ],
  'connection.start-ok': [
    10,
    11,
    { properties: 'table', mechanism: 'shortstr', response: 'longstr', locale: 'shortstr' },
  ],
  'connection.tune': [10, 30, { channelMax: 'short', frameMax: 'long', heartbeat: 'short' }],
  'connection.tune-ok': [10, 31, { channelMax: 'short', frameMax: 'long', heartbeat: 'short' }],
  'connection.open': [10, 40, { vhost: 'shortstr', reserved: 'shortstr', reservedBit: 'bit' }],
  'connection.open-ok': [10, 41, { reserved: 'shortstr' }],
  'connection.close': [10, 50, CLOSE],
  'connection.close-ok': [10, 51, NONE],
  'connection.blocked': [10, 60, { reason: 'shortstr' }],
  'connection.unblocked': [10, 61, NONE],
  'connection.update-secret': [10, 70, { secret: 'longstr', reason: 'shortstr' }],
  'connection.update-secret-ok': [10, 71, NONE],
  'channel.open': [20, 10, { reserved: 'shortstr' }],
  'channel.open-ok': [20, 11, { reserved: 'longstr' }],
  'channel.flow': [20, 20, { active: 'bit' }],
  'channel.flow-ok': [20, 21, { active: 'bit' }],
  'channel.close': [20, 40, CLOSE],
  'channel.close-ok': [20, 41, NONE],
  'exchange.declare': [
    40,
    10,
    {
      reserved: 'short',
      exchange: 'shortstr',
      type: 'shortstr',
      passive: 'bit',
      durable: 'bit',
      autoDelete: 'bit',
      internal: 'bit',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  'exchange.declare-ok': [40, 11, NONE],
  'exchange.delete': [40, 20, { reserved: 'short', exchange: 'shortstr', ifUnused: 'bit', nowait: 'bit' }],
  'exchange.delete-ok': [40, 21, NONE],
  'exchange.bind': [40, 30, BINDING],
  'exchange.bind-ok': [40, 31, NONE],
  'exchange.unbind': [40, 40, BINDING],
  'exchange.unbind-ok': [40, 51, NONE],
  'queue.declare': [
    50,
    10,
    {
      reserved: 'short',
      queue: 'shortstr',
      passive: 'bit',
      durable: 'bit',
      exclusive: 'bit',
      autoDelete: 'bit',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  'queue.declare-ok': [50, 11, { queue: 'shortstr', messages: 'long', consumers: 'long' }],
  'queue.bind': [50, 20, { ...QUEUE_BINDING, nowait: 'bit', arguments: 'table' }],
  'queue.bind-ok': [50, 21, NONE],
  'queue.purge': [50, 30, { reserved: 'short', queue: 'shortstr', nowait: 'bit' }],
  'queue.purge-ok': [50, 31, { messages: 'long' }],
  'queue.delete': [50, 40, { reserved: 'short', queue: 'shortstr', ifUnused: 'bit', ifEmpty: 'bit', nowait: 'bit' }],
  'queue.delete-ok': [50, 41, { messages: 'long' }],
  'queue.unbind': [50, 50, { ...QUEUE_BINDING, arguments: 'table' }],
  'queue.unbind-ok': [50, 51, NONE],
  'basic.qos': [60, 10, { prefetchSize: 'long', prefetchCount: 'short', global: 'bit' }],
  'basic.qos-ok': [60, 11, NONE],
  'basic.consume': [
    60,
    20,
    {
      reserved: 'short',
      queue: 'shortstr',
      consumerTag: 'shortstr',
      noLocal: 'bit',
      noAck: 'bit',
      exclusive: 'bit',
      nowait: 'bit',
      arguments: 'table',
    },
  ],
  'basic.consume-ok': [60, 21, { consumerTag: 'shortstr' }],
  'basic.cancel': [60, 30, { consumerTag: 'shortstr', nowait: 'bit' }],
  'basic.cancel-ok': [60, 31, { consumerTag: 'shortstr' }],
  'basic.publish': [
    60,
    40,
    { reserved: 'short', exchange: 'shortstr', routingKey: 'shortstr', mandatory: 'bit', immediate: 'bit' },
  ],
  'basic.return': [60, 50, { code: 'short', text: 'shortstr', exchange: 'shortstr', routingKey: 'shortstr' }],
  'basic.deliver': [
    60,
    60,
    { consumerTag: 'shortstr', deliveryTag: 'tag', redelivered: 'bit', exchange: 'shortstr', routingKey: 'shortstr' },
  ],
  'basic.get': [60, 70, { reserved: 'short', queue: 'shortstr', noAck: 'bit' }],
  'basic.get-ok': [
    60,
    71,
    { deliveryTag: 'tag', redelivered: 'bit', exchange: 'shortstr', routingKey: 'shortstr', messages: 'long' },
  ],
  'basic.get-empty': [60, 72, { reserved: 'shortstr' }],
  'basic.ack': [60, 80, { deliveryTag: 'tag', multiple: 'bit' }],
  'basic.reject': [60, 90, { deliveryTag: 'tag', requeue: 'bit' }],
  'basic.recover-async': [60, 100, { requeue: 'bit' }],
  'basic.recover': [60, 110, { requeue: 'bit' }],
  'basic.recover-ok': [60, 111, NONE],
  'basic.nack': [60, 120, { deliveryTag: 'tag', multiple: 'bit', requeue: 'bit' }],
  'confirm.select': [85, 10, { nowait: 'bit' }],
  'confirm.select-ok': [85, 11, NONE],
  'tx.select': [90, 10, NONE],
  'tx.select-ok': [90, 11, NONE],
  'tx.commit': [90, 20, NONE],
  'tx.commit-ok': [90, 21, NONE],
  'tx.rollback': [90, 30, NONE],
  'tx.rollback-ok': [90, 31, NONE],
} as const satisfies Record<string, readonly [number, number, Shape]>;

export type MethodName = keyof typeof METHODS;
type Values<S> = {
  readonly [K in keyof S as K extends `reserved${string}` ? never : K]: S[K] extends keyof Types ? Types[S[K]] : never;
};
export type Args<N extends MethodName> = Values<(typeof METHODS)[N][2]>;

/** A decoded method; a union over all names. */
export type Method = {
  [N in MethodName]: { readonly name: N; readonly id: number; readonly args: Args<N> };
}[MethodName];

interface Plan {
  readonly name: MethodName;
  readonly id: number;
  readonly fields: readonly (readonly [string, keyof Types])[];
}
const PLANS = new Map<number, Plan>();
const BY_NAME = new Map<MethodName, Plan>();
for (const [name, [classId, methodId, shape]] of Object.entries(METHODS) as [
  MethodName,
  readonly [number, number, Shape],
][]) {
  const plan = { name, id: classId * 65_536 + methodId, fields: Object.entries(shape) };
  PLANS.set(plan.id, plan);
  BY_NAME.set(name, plan);
}

/** Decodes the payload of a method frame. @throws SyntaxTrouble */
export function readMethod(payload: Buffer): Method | { readonly name: 'unknown'; readonly id: number } {
  const reader = new Reader(payload);
  const id = reader.long();
  const plan = PLANS.get(id);
  if (!plan) return { name: 'unknown', id };
  const args: Record<string, unknown> = {};
  let bits = 0;
  let bit = 8;
  for (const [field, type] of plan.fields) {
    if (type === 'bit') {
      if (bit > 7) {
        bits = reader.octet();
        bit = 0;
      }
      args[field] = (bits & (1 << bit)) !== 0;
      bit += 1;
      continue;
    }
    bit = 8;
    args[field] = type === 'table' ? readTable(reader) : reader[type]();
  }
  if (reader.at !== payload.length) throw new SyntaxTrouble(`${plan.name} is longer than its fields`);
  return { name: plan.name, id, args } as unknown as Method;
}

/** Writes id and fields of a method. */
export function writeMethod<N extends MethodName>(writer: Writer, name: N, args: Args<N>): void {
  const plan = BY_NAME.get(name);
  if (!plan) throw new Error(`no method ${name}`);
  const values = args as Readonly<Record<string, unknown>>;
  writer.long(plan.id);
  let bitsAt = -1;
  let bit = 8;
  for (const [field, type] of plan.fields) {
    const value = values[field];
    if (type === 'bit') {
      if (bit > 7) {
        bitsAt = writer.take(1);
        writer.bytes[bitsAt] = 0;
        bit = 0;
      }
      if (value === true) writer.bytes[bitsAt] = (writer.bytes[bitsAt] ?? 0) | (1 << bit);
      bit += 1;
      continue;
    }
    bit = 8;
    writeValue(writer, type, value);
  }
}

const NOTHING = Buffer.alloc(0);

function writeValue(writer: Writer, type: Exclude<keyof Types, 'bit'>, value: unknown): void {
  switch (type) {
    case 'octet':
    case 'short':
    case 'long': {
      writer[type]((value as number | undefined) ?? 0);
      return;
    }
    case 'tag': {
      writer.tag(value as number);
      return;
    }
    case 'shortstr': {
      writer.shortstr((value as string | undefined) ?? '');
      return;
    }
    case 'longstr': {
      writer.longstr((value as Buffer | undefined) ?? NOTHING);
      return;
    }
    case 'table': {
      writeTable(writer, value as Table);
      return;
    }
  }
}
