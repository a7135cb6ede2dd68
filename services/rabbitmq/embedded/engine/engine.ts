import { encodeProperties, headersOf, withHeaders, type Properties } from '../codec/properties.js';
import { typeName, type Table } from '../codec/table.js';
import type { FailureError } from '../../../../src/model/failure.js';
import { contentOf, deadLetter, deathsOf, isCycle, keysOf } from './dead-letter.js';
import type { Exchange } from './exchange.js';
import type { Entry, Message } from './message.js';
import type { DeathReason, Queue } from './queue.js';
import { Store, type StoreOptions } from './store.js';
import { isLogged } from './topology.js';
import { refused } from './trouble.js';
import { VirtualHost } from './vhost.js';

/** A message as a client published it. */
export interface Publication {
  readonly exchange: Exchange;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly propertiesLength: number;
  readonly properties: Properties;
}

export interface Outcome {
  readonly routed: boolean;
  /** False when a queue refused it (`x-overflow: reject-publish`). */
  readonly accepted: boolean;
  /** True when it must be on the disk before it may be confirmed. */
  readonly durable: boolean;
}

export interface EngineOptions extends StoreOptions {
  readonly dataDir: string;
  readonly vhosts: readonly string[];
}

const NO_HEADERS = new Map<string, never>();

/** Virtual hosts over one store: routing, dead lettering and recovery. Knows nothing of connections. */
export class Engine {
  readonly vhosts = new Map<string, VirtualHost>();
  readonly counters = { published: 0, delivered: 0, acked: 0 };
  private store!: Store;

  private constructor() {
    // Filled by `open`.
  }

  /** @throws FailureError when the data directory cannot be used */
  static async open(options: EngineOptions): Promise<Engine> {
    const engine = new Engine();
    const { store, recovered } = await Store.open(options.dataDir, options, function* () {
      for (const vhost of engine.vhosts.values()) yield* vhost.describe();
    });
    engine.store = store;
    for (const name of options.vhosts) engine.addVhost(name);
    const queues = new Map<number, { readonly queue: Queue; readonly vhost: VirtualHost }>();
    for (const topology of recovered.topology) {
      if (topology.op === 'queue-delete') {
        const gone = queues.get(topology.id);
        if (gone) gone.vhost.forgetQueue(gone.queue);
        queues.delete(topology.id);
        continue;
      }
      // A vhost of an earlier configuration keeps its messages until it is configured again.
      const vhost = engine.vhosts.get(topology.vhost) ?? engine.addVhost(topology.vhost);
      const queue = vhost.restore(topology);
      if (queue) queues.set(queue.identity.id, { queue, vhost });
    }
    for (const { places, ...stored } of recovered.messages) {
      const message: Message = { ...stored, logged: [] };
      for (const place of places) {
        const queue = queues.get(place.queue)?.queue;
        if (!queue) continue;
        const entry = queue.entry(message, place.deliveries);
        message.logged.push(entry);
        queue.restore(entry);
      }
      if (message.logged.length > 0) store.adopt(message);
    }
    return engine;
  }

  private addVhost(name: string): VirtualHost {
    const vhost: VirtualHost = new VirtualHost(name, () => this.store, {
      delivered: (entry) => this.store.delivered(entry),
      removed: (entry) => this.store.removed(entry),
      died: (entry, reason) => this.bury(vhost, entry, reason),
    });
    this.vhosts.set(name, vhost);
    return vhost;
  }

  get failure(): FailureError | null {
    return this.store.failure;
  }

  get logBytes(): number {
    return this.store.bytes;
  }

  /** Resolves when everything accepted so far is on the disk. @throws FailureError */
  synced(): Promise<void> {
    return this.store.synced();
  }

  /** Routes a message into its queues. @throws AmqpError on wrong properties */
  publish(vhost: VirtualHost, publication: Publication): Outcome {
    this.counters.published += 1;
    const { properties, routingKey } = publication;
    let { content, propertiesLength } = publication;
    let keys: readonly string[] = [routingKey];
    if (properties.headers?.includes('CC')) {
      const headers = new Map(headersOf(properties));
      keys = [routingKey, ...keysOf(headers, 'CC'), ...keysOf(headers, 'BCC')];
      if (headers.delete('BCC'))
        ({ content, propertiesLength } = contentOf(
          withHeaders(properties, headers),
          content.subarray(propertiesLength),
        ));
    }
    const queues = vhost.route(publication.exchange, keys, () =>
      properties.headers ? headersOf(properties) : NO_HEADERS,
    );
    return this.enqueue(vhost, queues, publication.exchange.name, routingKey, properties, content, propertiesLength);
  }

  private enqueue(
    vhost: VirtualHost,
    queues: ReadonlySet<Queue>,
    exchange: string,
    routingKey: string,
    properties: Properties,
    content: Buffer,
    propertiesLength: number,
  ): Outcome {
    if (queues.size === 0) return { routed: false, accepted: true, durable: false };
    const persistent = properties.deliveryMode === 2;
    const message: Message = {
      id: this.store.nextMessage(),
      exchange,
      routingKey,
      content,
      propertiesLength,
      persistent,
      priority: properties.priority ?? 0,
      receivedAt: Date.now(),
      ttl: ttlOf(properties),
      logged: [],
    };
    let accepted = true;
    const entries: Entry[] = [];
    for (const queue of queues) {
      const entry = queue.entry(message);
      if (queue.refuses(message)) {
        accepted = false;
        if (queue.identity.policy.overflow === 'reject-publish-dlx') this.bury(vhost, entry, 'maxlen');
        continue;
      }
      // A quorum queue keeps every message, as RabbitMQ's does.
      if (isLogged(queue) && (persistent || queue.identity.policy.type === 'quorum')) message.logged.push(entry);
      entries.push(entry);
    }
    const durable = message.logged.length > 0;
    if (durable) {
      if (this.store.failure) return { routed: true, accepted: false, durable: false };
      this.store.add(message);
    }
    for (const entry of entries) entry.queue.push(entry);
    return { routed: true, accepted, durable };
  }

  private bury(vhost: VirtualHost, entry: Entry, reason: DeathReason): void {
    const { deadLetterExchange } = entry.queue.identity.policy;
    const exchange = deadLetterExchange === undefined ? undefined : vhost.exchanges.get(deadLetterExchange);
    if (!exchange) return;
    const draft = deadLetter(entry.message, entry.queue, reason);
    const headers = headersOf(draft.properties);
    const queues = vhost.route(exchange, [draft.routingKey, ...keysOf(headers, 'CC')], () => headers);
    if (reason !== 'rejected') {
      const deaths = deathsOf(headers);
      for (const queue of queues) if (isCycle(queue, deaths)) queues.delete(queue);
    }
    const { content, propertiesLength } = contentOf(draft.properties, draft.body);
    this.enqueue(vhost, queues, draft.exchange, draft.routingKey, draft.properties, content, propertiesLength);
  }

  async close(): Promise<void> {
    for (const vhost of this.vhosts.values()) for (const queue of vhost.queues.values()) queue.stop();
    await this.store.close();
  }
}

function ttlOf({ expiration }: Properties): number | undefined {
  return expiration === undefined ? undefined : Number(expiration);
}

function assertCopies(headers: Table): void {
  for (const name of ['CC', 'BCC'] as const) {
    const field = headers.get(name);
    const wrong = field?.type === 'A' ? field.value.find((one) => one.type !== 'S') : field;
    if (wrong) throw refused(`invalid message: {unacceptable_type_in_header,"${name}",${typeName(wrong)}}`);
  }
}

function wrongExpiration(expiration: string): string | undefined {
  const [whole, number, rest] = /^([-+]?\d+)(.*)$/s.exec(expiration) ?? [];
  if (whole === undefined) return 'no_integer';
  if (rest !== '') return `{leftover_string,"${rest ?? ''}"}`;
  return Number(number) < 0 ? `{value_negative,${Number(number)}}` : undefined;
}

/** What RabbitMQ checks before it takes a message. @throws AmqpError 406 */
export function checkProperties(properties: Properties, user: string): void {
  const { expiration, headers, userId } = properties;
  if (headers?.includes('CC')) assertCopies(headersOf(properties));
  const wrong = expiration === undefined ? undefined : wrongExpiration(expiration);
  if (wrong !== undefined) throw refused(`invalid expiration '${expiration ?? ''}': ${wrong}`);
  if (userId !== undefined && userId !== user)
    throw refused(`user_id property set to '${userId}' but authenticated user was '${user}'`);
}

/** The content for one delivery: a quorum queue tells in `x-delivery-count` how often the message came back. */
export function deliveryContent(
  entry: Entry,
  properties: (message: Message) => Properties,
): { readonly content: Buffer; readonly propertiesLength: number } {
  const { message, queue, deliveries } = entry;
  if (queue.identity.policy.type !== 'quorum' || deliveries === 0) return message;
  const known = properties(message);
  const headers = new Map(headersOf(known)).set('x-delivery-count', { type: 'l', value: BigInt(deliveries) });
  const encoded = encodeProperties(withHeaders(known, headers));
  return {
    content: Buffer.concat([encoded, message.content.subarray(message.propertiesLength)]),
    propertiesLength: encoded.length,
  };
}
