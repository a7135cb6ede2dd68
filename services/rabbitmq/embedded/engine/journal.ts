import { Reader, Writer } from '../codec/bytes.js';
import type { Entry, Message } from './message.js';

/** Everything but messages, as JSON; argument tables are base64 of their bytes on the wire. */
export type Topology =
  | {
      readonly op: 'queue';
      readonly id: number;
      readonly vhost: string;
      readonly name: string;
      readonly autoDelete: boolean;
      readonly args: string;
    }
  | { readonly op: 'queue-delete'; readonly id: number }
  | {
      readonly op: 'exchange';
      readonly vhost: string;
      readonly name: string;
      readonly type: string;
      readonly autoDelete: boolean;
      readonly internal: boolean;
      readonly args: string;
    }
  | { readonly op: 'exchange-delete'; readonly vhost: string; readonly name: string }
  | {
      readonly op: 'bind' | 'unbind';
      readonly vhost: string;
      readonly source: string;
      readonly kind: 'queue' | 'exchange';
      readonly destination: string;
      readonly routingKey: string;
      readonly args: string;
    };

/** Where a message of the log lies. */
export interface Place {
  readonly queue: number;
  readonly deliveries: number;
}

export type StoredMessage = Omit<Message, 'logged'> & { readonly places: readonly Place[] };

export type LogRecord =
  | { readonly kind: 'topology'; readonly topology: Topology }
  | { readonly kind: 'message'; readonly message: StoredMessage }
  | { readonly kind: 'removed'; readonly entries: readonly { readonly queue: number; readonly message: number }[] }
  | {
      readonly kind: 'delivered';
      readonly entries: readonly { readonly queue: number; readonly message: number; readonly deliveries: number }[];
    };

const TAG = { topology: 1, message: 2, removed: 3, delivered: 4 } as const;

/** Ids are whole numbers below 2^48: a million messages a second for nine years. */
function writeId(writer: Writer, id: number): void {
  const at = writer.take(6);
  writer.bytes.writeUIntBE(id, at, 6);
}

function readId(reader: Reader): number {
  return reader.slice(6).readUIntBE(0, 6);
}

export function encodeTopology(topology: Topology): Buffer {
  return Buffer.concat([Buffer.of(TAG.topology), Buffer.from(JSON.stringify(topology))]);
}

/** Head and content of a message's record. */
export function encodeMessage(message: Message, entries: Iterable<Entry>): [Buffer, Buffer] {
  const writer = new Writer(96);
  writer.octet(TAG.message);
  writeId(writer, message.id);
  writeId(writer, message.receivedAt);
  writer.octet(message.priority);
  writeId(writer, message.ttl === undefined ? 0 : message.ttl + 1);
  writer.shortstr(message.exchange);
  writer.shortstr(message.routingKey);
  const countAt = writer.take(2);
  let count = 0;
  for (const entry of entries) {
    writer.long(entry.queue.identity.id);
    writer.long(entry.deliveries);
    count += 1;
  }
  writer.bytes.writeUInt16BE(count, countAt);
  writer.long(message.propertiesLength);
  return [writer.bytes.subarray(0, writer.at), message.content];
}

/** One record for many entries that are done with. */
export function encodeRemoved(entries: readonly Entry[]): Buffer {
  const writer = new Writer(1 + entries.length * 10);
  writer.octet(TAG.removed);
  for (const { queue, message } of entries) {
    writer.long(queue.identity.id);
    writeId(writer, message.id);
  }
  return writer.bytes.subarray(0, writer.at);
}

/** One record for many entries that went out to clients, with how often each did so far. */
export function encodeDelivered(entries: readonly Entry[]): Buffer {
  const writer = new Writer(1 + entries.length * 14);
  writer.octet(TAG.delivered);
  for (const { queue, message, deliveries } of entries) {
    writer.long(queue.identity.id);
    writeId(writer, message.id);
    writer.long(deliveries);
  }
  return writer.bytes.subarray(0, writer.at);
}

/** Decodes a record; contents are copied out of the payload. Throws on a record of another format. */
export function decodeRecord(payload: Buffer): LogRecord {
  const reader = new Reader(payload);
  const tag = reader.octet();
  switch (tag) {
    case TAG.topology:
      return { kind: 'topology', topology: JSON.parse(payload.toString('utf8', 1)) as Topology };
    case TAG.message:
      return { kind: 'message', message: decodeMessage(reader) };
    case TAG.removed:
    case TAG.delivered: {
      const entries: { queue: number; message: number; deliveries: number }[] = [];
      while (reader.at < payload.length) {
        const queue = reader.long();
        const message = readId(reader);
        entries.push({ queue, message, deliveries: tag === TAG.delivered ? reader.long() : 0 });
      }
      return { kind: tag === TAG.removed ? 'removed' : 'delivered', entries };
    }
    default:
      throw new Error(`a record of the unknown kind ${tag}`);
  }
}

function decodeMessage(reader: Reader): StoredMessage {
  const id = readId(reader);
  const receivedAt = readId(reader);
  const priority = reader.octet();
  const ttl = readId(reader);
  const exchange = reader.shortstr();
  const routingKey = reader.shortstr();
  const places = Array.from({ length: reader.short() }, () => ({ queue: reader.long(), deliveries: reader.long() }));
  const propertiesLength = reader.long();
  const content = Buffer.from(reader.slice(reader.end - reader.at));
  return {
    id,
    receivedAt,
    priority,
    ttl: ttl === 0 ? undefined : ttl - 1,
    exchange,
    routingKey,
    places,
    propertiesLength,
    content,
    persistent: true,
  };
}
