import type { Channel, ConsumeMessage } from 'amqplib';
import type { ConsumeOptions, Delivery, Subscription } from '../ports/broker.js';
import { asError } from '../util/errors.js';
import { withDeadline } from '../util/deadline.js';
import type { Link } from './amqp-link.js';

export interface ConsumeSession {
  readonly channel: Channel;
}

interface Wish {
  readonly options: ConsumeOptions;
  cancelled: boolean;
  /** True from the moment the current session was asked to deliver. */
  taken: boolean;
  /** Set while the broker has confirmed the consumer on the current session. */
  tag: string | null;
  depth: number | null;
}

const CALL_MS = 10_000;
const CANCEL_MS = 1000;
const WATCH_MS = 15_000;

/** Standing wishes to consume, taken up on every new session, and watched: connected is not the same as consuming. */
export class Consumers {
  readonly #wishes = new Set<Wish>();
  #watch: NodeJS.Timeout | undefined;

  constructor(private readonly link: () => Link<ConsumeSession>) {}

  get consuming(): boolean {
    return this.#wishes.size > 0 && [...this.#wishes].every((wish) => wish.tag !== null);
  }

  consume(options: ConsumeOptions): Subscription {
    const wish: Wish = { options, cancelled: false, taken: false, tag: null, depth: null };
    this.#wishes.add(wish);
    const { session } = this.link();
    if (session === null) this.link().kick();
    else this.#take(session, wish);
    return {
      get consuming() {
        return wish.tag !== null;
      },
      get depth() {
        return wish.depth;
      },
      cancel: () => this.#cancel(wish),
    };
  }

  onUp(session: ConsumeSession): void {
    for (const wish of this.#wishes) this.#take(session, wish);
    clearInterval(this.#watch);
    this.#watch = setInterval(() => void this.#look(session), WATCH_MS).unref();
  }

  onDown(): void {
    clearInterval(this.#watch);
    for (const wish of this.#wishes) {
      if (!wish.taken) continue;
      wish.taken = false;
      wish.tag = null;
      wish.options.onLost();
    }
  }

  close(): void {
    clearInterval(this.#watch);
    this.#wishes.clear();
  }

  #take(session: ConsumeSession, wish: Wish): void {
    const { channel } = session;
    const { queue, prefetch } = wish.options;
    wish.taken = true;
    const start = async (): Promise<void> => {
      // In one go: the prefetch of a channel holds for the consumers that follow it.
      const [, seen, { consumerTag }] = await Promise.all([
        channel.prefetch(prefetch, false),
        channel.checkQueue(queue),
        channel.consume(queue, (message) => this.#receive(session, wish, message)),
      ]);
      if (session !== this.link().session) return;
      wish.depth = seen.messageCount;
      wish.tag = consumerTag;
      if (wish.cancelled) await this.#cancel(wish);
    };
    withDeadline(start(), CALL_MS, `consume ${queue}`).catch((error: unknown) => {
      this.link().fail(session, asError(error));
    });
  }

  #receive(session: ConsumeSession, wish: Wish, message: ConsumeMessage | null): void {
    if (message === null) {
      this.link().fail(
        session,
        new Error(`the broker ended the consumer of ${wish.options.queue}: was the queue deleted?`),
      );
      return;
    }
    const delivery = this.#deliveryOf(session, wish.options.queue, message);
    if (wish.cancelled) delivery.requeue();
    else wish.options.onDelivery(delivery);
  }

  #deliveryOf(session: ConsumeSession, queue: string, message: ConsumeMessage): Delivery {
    const { properties, fields, content } = message;
    let settled = false;
    const link = this.link();
    const alive = (): boolean => !settled && session === link.session;
    const settle = (act: () => void): boolean => {
      if (!alive()) return false;
      settled = true;
      try {
        act();
        return true;
      } catch (error) {
        // The channel closed under us: the broker hands the message out again.
        link.fail(session, asError(error));
        return false;
      }
    };
    return {
      queue,
      message: {
        id: textOrNull(properties.messageId),
        type: textOrNull(properties.type),
        contentType: textOrNull(properties.contentType),
        headers: properties.headers ?? {},
        body: content,
      },
      redelivered: fields.redelivered,
      get alive() {
        return alive();
      },
      ack: () => settle(() => session.channel.ack(message)),
      requeue: () => settle(() => session.channel.nack(message, false, true)),
    };
  }

  async #cancel(wish: Wish): Promise<void> {
    wish.cancelled = true;
    this.#wishes.delete(wish);
    const { session } = this.link();
    const { tag } = wish;
    wish.tag = null;
    if (session === null || tag === null) return;
    try {
      await withDeadline(session.channel.cancel(tag), CANCEL_MS, 'cancel');
    } catch {
      // The channel is gone or hangs: either way it delivers nothing that would be taken.
    }
  }

  /** Heartbeats prove a socket, not a consumer: a queue without a leader, or a consumer that the broker forgot, show here. */
  async #look(session: ConsumeSession): Promise<void> {
    try {
      for (const wish of this.#wishes) {
        if (wish.tag === null) continue;
        const { queue } = wish.options;
        const seen = await withDeadline(session.channel.checkQueue(queue), CALL_MS, `look at ${queue}`);
        wish.depth = seen.messageCount;
        if (seen.consumerCount === 0) throw new Error(`the broker has no consumer on ${queue} any more`);
      }
    } catch (error) {
      this.link().fail(session, asError(error));
    }
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
