import { readProperties, type Properties } from '../codec/properties.js';
import type { Queue } from './queue.js';

/** A published message, shared by the queues that hold it. */
export interface Message {
  /** Ascending over the life of the data directory: the order of publishing. */
  readonly id: number;
  readonly exchange: string;
  readonly routingKey: string;
  /** Properties as on the wire, then the body. */
  readonly content: Buffer;
  readonly propertiesLength: number;
  readonly persistent: boolean;
  readonly priority: number;
  /** Unix ms. */
  readonly receivedAt: number;
  /** Its own time to live in ms, if it has one. */
  readonly ttl: number | undefined;
  /** Entries that the log must bring back after a restart. */
  readonly logged: Entry[];
}

/** A message in one queue. */
export interface Entry {
  readonly message: Message;
  readonly queue: Queue;
  /** How often it went out; more than 0 makes the next delivery a redelivery. */
  deliveries: number;
  /** Unix ms; Infinity = never. */
  readonly expiresAt: number;
}

export function propertiesOf(message: Message): Properties {
  return readProperties(message.content.subarray(0, message.propertiesLength));
}

export function bodyLength(message: Message): number {
  return message.content.length - message.propertiesLength;
}
