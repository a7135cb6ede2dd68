import { encodeProperties, headersOf, withHeaders, type Properties } from '../codec/properties.js';
import { integerOf, text, textOf, type Field, type Table } from '../codec/table.js';
import { propertiesOf, type Message } from './message.js';
import type { DeathReason, Queue } from './queue.js';

/** A message about to be published by the broker itself. */
export interface Draft {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: Properties;
  readonly body: Buffer;
}

/** The message as its queue's dead letter exchange gets it, with `x-death` in RabbitMQ's form: the newest event first. */
export function deadLetter(message: Message, queue: Queue, reason: DeathReason): Draft {
  const properties = propertiesOf(message);
  const headers = new Map(headersOf(properties));
  const { deadLetterExchange = '', deadLetterRoutingKey } = queue.identity.policy;
  const carbonCopies = keysOf(headers, 'CC');
  const { expiration, ...rest } = properties;
  headers.set('x-death', {
    type: 'A',
    value: nextDeaths(message, queue, reason, deathsOf(headers), carbonCopies, expiration),
  });
  for (const [name, value] of [
    ['reason', reason],
    ['queue', queue.name],
    ['exchange', message.exchange],
  ] as const) {
    if (!headers.has(`x-first-death-${name}`)) headers.set(`x-first-death-${name}`, text(value));
  }
  if (deadLetterRoutingKey !== undefined) headers.delete('CC');
  return {
    exchange: deadLetterExchange,
    routingKey: deadLetterRoutingKey ?? message.routingKey,
    properties: withHeaders(rest, headers),
    body: message.content.subarray(message.propertiesLength),
  };
}

function nextDeaths(
  message: Message,
  queue: Queue,
  reason: DeathReason,
  deaths: readonly Table[],
  carbonCopies: readonly string[],
  expiration: string | undefined,
): Field[] {
  const same = deaths.find((one) => textOf(one.get('queue')) === queue.name && textOf(one.get('reason')) === reason);
  const others = deaths.filter((one) => one !== same);
  const death = new Map(same ?? firstDeath(message, queue, reason, carbonCopies, expiration));
  death.set('count', { type: 'l', value: BigInt(integerOf(same?.get('count')) ?? 0) + 1n });
  return [death, ...others].map((value) => ({ type: 'F', value }));
}

function firstDeath(
  message: Message,
  queue: Queue,
  reason: DeathReason,
  carbonCopies: readonly string[],
  expiration: string | undefined,
): Table {
  const death = new Map<string, Field>([
    ['count', { type: 'l', value: 0n }],
    ['reason', text(reason)],
    ['queue', text(queue.name)],
    ['time', { type: 'T', value: BigInt(Math.floor(Date.now() / 1000)) }],
    ['exchange', text(message.exchange)],
    ['routing-keys', { type: 'A', value: [message.routingKey, ...carbonCopies].map(text) }],
  ]);
  if (expiration !== undefined) death.set('original-expiration', text(expiration));
  return death;
}

export function deathsOf(headers: Table): readonly Table[] {
  const field = headers.get('x-death');
  return field?.type === 'A' ? field.value.flatMap((one) => (one.type === 'F' ? [one.value] : [])) : [];
}

/** True when the message came through `queue` before and no client rejected it since: it would go round for ever. */
export function isCycle(queue: Queue, deaths: readonly Table[]): boolean {
  const at = deaths.findIndex((one) => textOf(one.get('queue')) === queue.name);
  return at >= 0 && deaths.slice(0, at + 1).every((one) => textOf(one.get('reason')) !== 'rejected');
}

/** Routing keys in a `CC` or `BCC` header. */
export function keysOf(headers: Table, name: 'CC' | 'BCC'): string[] {
  const field = headers.get(name);
  return field?.type === 'A' ? field.value.flatMap((one) => textOf(one) ?? []) : [];
}

/** Content on the wire: properties, then body. */
export function contentOf(
  properties: Properties,
  body: Buffer,
): { readonly content: Buffer; readonly propertiesLength: number } {
  const encoded = encodeProperties(properties);
  return { content: Buffer.concat([encoded, body]), propertiesLength: encoded.length };
}
