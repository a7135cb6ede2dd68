import type { ConfirmChannel, Message } from 'amqplib';
import {
  BrokerBlocked,
  BrokerUnavailable,
  QueueFull,
  Unroutable,
  type OutgoingMessage,
  type Route,
} from '../ports/broker.js';
import { asError } from '../util/errors.js';
import { redactUri } from '../util/redact.js';
import type { Link } from './amqp-link.js';

export interface PublishSession {
  readonly channel: ConfirmChannel;
  /** The broker's reason for not taking publishes (memory or disk alarm); null when it takes them. */
  blocked: string | null;
}

interface Entry {
  readonly route: Route;
  readonly message: OutgoingMessage;
  readonly timestamp: number;
  settled: boolean;
  settle(error: Error | null): void;
}

/** Unconfirmed messages at once: more gives no throughput, only memory. */
const WINDOW = 512;
/** Once the broker has been away this long, publishes fail with the next failed attempt instead of at their own timeout. */
const FAIL_FAST_MS = 5000;

/** Publishes with confirms and `mandatory`, in a window, over whatever session the link has. */
export class Publisher {
  #waiting: Entry[] = [];
  readonly #inFlight = new Map<string, Set<Entry>>();
  #count = 0;
  #closed = false;

  constructor(private readonly link: () => Link<PublishSession>) {}

  publish(route: Route, message: OutgoingMessage, timeoutMs: number): Promise<void> {
    const link = this.link();
    if (this.#closed) return Promise.reject(new BrokerUnavailable('this application is closed'));
    const blocked = link.session?.blocked;
    if (typeof blocked === 'string')
      return Promise.reject(new BrokerBlocked(`the broker takes no messages: ${blocked}`));
    return new Promise((resolve, reject) => {
      const entry: Entry = {
        route,
        message,
        timestamp: Math.floor(Date.now() / 1000),
        settled: false,
        settle: (error) => {
          if (entry.settled) return;
          entry.settled = true;
          clearTimeout(timer);
          if (error === null) resolve();
          else reject(error);
        },
      };
      const timer = setTimeout(() => {
        const reason = this.link().session?.blocked ?? this.link().reason ?? 'it did not confirm';
        this.#waiting = this.#waiting.filter((other) => other !== entry);
        entry.settle(new BrokerUnavailable(`the broker took no message within ${timeoutMs} ms: ${reason}`));
      }, timeoutMs);
      this.#waiting.push(entry);
      link.kick();
      this.#pump();
    });
  }

  onUp(session: PublishSession): void {
    session.channel.on('return', (message: Message) => this.#returned(message));
    this.#pump();
  }

  /** What was in flight is published again on the next session: the broker may or may not have it. */
  onDown(reason: string): void {
    const lost = [...this.#inFlight.values()].flatMap((entries) => [...entries]);
    this.#inFlight.clear();
    this.#count = 0;
    this.#waiting = [...lost.filter((entry) => !entry.settled), ...this.#waiting];
    if (this.link().downMs < FAIL_FAST_MS) return;
    const error = new BrokerUnavailable(`no broker: ${reason}`);
    for (const entry of this.#waiting.splice(0)) entry.settle(error);
  }

  close(): void {
    this.#closed = true;
    const entries = [...this.#waiting.splice(0), ...[...this.#inFlight.values()].flatMap((set) => [...set])];
    for (const entry of entries) entry.settle(new BrokerUnavailable('this application was closed'));
  }

  #pump(): void {
    const session = this.link().session;
    while (session !== null && session === this.link().session && this.#count < WINDOW) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
      if (!entry.settled) this.#send(session, entry);
    }
  }

  #send(session: PublishSession, entry: Entry): void {
    const { route, message } = entry;
    const key = keyOf(route.exchange, route.key, message.id);
    const entries = this.#inFlight.get(key) ?? new Set();
    try {
      session.channel.publish(
        route.exchange,
        route.key,
        message.body,
        {
          mandatory: true,
          persistent: true,
          messageId: message.id,
          type: message.type,
          contentType: message.contentType,
          headers: { ...message.headers },
          timestamp: entry.timestamp,
        },
        (error: unknown) => {
          // After a lost session `onDown` has taken the entry over.
          if (this.#inFlight.get(key) !== entries || !entries.has(entry)) return;
          const nacked = error instanceof Error && /nacked/.test(error.message);
          if (error instanceof Error && !nacked) {
            this.link().fail(session, error);
            return;
          }
          entries.delete(entry);
          if (entries.size === 0) this.#inFlight.delete(key);
          this.#count -= 1;
          entry.settle(
            nacked ? new QueueFull(`the broker refused a message for ${route.key}: the queue is full`) : null,
          );
          this.#pump();
        },
      );
    } catch (error) {
      if (asError(error).name === 'IllegalOperationError') {
        // The channel is closing; the link hears of it in this tick or the next.
        this.#waiting.unshift(entry);
        this.link().fail(session, asError(error));
      } else entry.settle(asError(error));
      return;
    }
    entries.add(entry);
    this.#inFlight.set(key, entries);
    this.#count += 1;
  }

  /** A return comes before the ack of the same message, so the ack then finds the entry settled. */
  #returned(message: Message): void {
    const { exchange, routingKey } = message.fields;
    const id: unknown = message.properties.messageId;
    const entries = this.#inFlight.get(keyOf(exchange, routingKey, String(id)));
    for (const entry of entries ?? []) {
      entry.settle(new Unroutable(redactUri(`the broker has no queue for ${routingKey}`)));
    }
  }
}

function keyOf(exchange: string, key: string, id: string): string {
  return `${exchange}\n${key}\n${id}`;
}
