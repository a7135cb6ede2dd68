/** What must exist in the broker before anything is published or consumed. Declaring the same twice is harmless. */
export interface Topology {
  readonly exchanges: readonly { readonly name: string; readonly type: 'topic' | 'direct' }[];
  readonly queues: readonly {
    readonly name: string;
    readonly args: Readonly<Record<string, string | number | boolean>>;
  }[];
  readonly bindings: readonly {
    readonly source: string;
    readonly destination: string;
    readonly to: 'queue' | 'exchange';
    readonly key: string;
  }[];
}

export type HeaderValue = string | number | boolean;

export interface OutgoingMessage {
  readonly id: string;
  /** Name of the task. */
  readonly type: string;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, HeaderValue>>;
  readonly body: Buffer;
}

/** Where a message goes: the default exchange ('') routes by queue name. */
export interface Route {
  readonly exchange: string;
  readonly key: string;
}

/** A message that foreign producers may have made: nothing in it can be trusted. */
export interface IncomingMessage {
  readonly id: string | null;
  readonly type: string | null;
  readonly contentType: string | null;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

/** One delivery. Settling it twice, or after its channel died, does nothing and answers false: the broker redelivers. */
export interface Delivery {
  readonly queue: string;
  readonly message: IncomingMessage;
  /** True when the broker has handed it out before. */
  readonly redelivered: boolean;
  readonly alive: boolean;
  ack(): boolean;
  /** Back to the queue, near its head. */
  requeue(): boolean;
}

export interface ConsumeOptions {
  readonly queue: string;
  /** Most unsettled deliveries at once. */
  readonly prefetch: number;
  onDelivery(delivery: Delivery): void;
  /** The channel of these deliveries died: the broker will hand all unsettled ones out again. */
  onLost(): void;
}

/** A standing wish to consume: it is taken up again after every reconnect until it is cancelled. */
export interface Subscription {
  /** True while the broker has confirmed the consumer on a live channel. */
  readonly consuming: boolean;
  /** Messages ready in the queue at the last look; null before the first. */
  readonly depth: number | null;
  /** Takes no more deliveries; those already handed out can still be settled. Resolves at once when not consuming. */
  cancel(): Promise<void>;
}

export interface BrokerHealth {
  readonly publishing: boolean;
  readonly consuming: boolean;
  /** Why the broker cannot be used now; null when it can. Credentials redacted. */
  readonly reason: string | null;
}

export interface Broker {
  /** Adds to what is declared on every connection before it is used. */
  declare(topology: Topology): void;
  /**
   * Resolves when the broker has stored the message *and* routed it to a queue. After a lost connection the same message
   * is published again until `timeoutMs` has passed, so a consumer may see its id twice.
   * @throws BrokerUnavailable, BrokerBlocked, QueueFull, Unroutable
   */
  publish(route: Route, message: OutgoingMessage, options: { readonly timeoutMs: number }): Promise<void>;
  consume(options: ConsumeOptions): Subscription;
  health(): BrokerHealth;
  /** Ends the connections; deliveries that are not settled go back to their queues. Bounded by `timeoutMs` (default 1000). */
  close(timeoutMs?: number): Promise<void>;
}

/** Errors that say "try again later": web frameworks answer 503 with Retry-After when a handler throws them. */
export class Unavailable extends Error {
  readonly statusCode = 503;
  readonly status = 503;
  /** Seconds. */
  readonly retryAfter = 2;
  readonly headers: Readonly<Record<string, string>> = { 'retry-after': '2' };
}

/** No broker answered within the timeout. */
export class BrokerUnavailable extends Unavailable {
  override readonly name = 'BrokerUnavailable';
  readonly code = 'MEMT_BROKER_UNAVAILABLE';
}

/** The broker takes no publishes: memory or disk alarm. */
export class BrokerBlocked extends Unavailable {
  override readonly name = 'BrokerBlocked';
  readonly code = 'MEMT_BROKER_BLOCKED';
}

/** The queue is at its length limit. */
export class QueueFull extends Unavailable {
  override readonly name = 'QueueFull';
  readonly code = 'MEMT_QUEUE_FULL';
}

/** The broker has no queue for the message: it was deleted by someone. */
export class Unroutable extends Unavailable {
  override readonly name = 'Unroutable';
  readonly code = 'MEMT_UNROUTABLE';
}
