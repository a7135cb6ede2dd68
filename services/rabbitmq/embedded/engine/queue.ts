import type { Table } from '../codec/table.js';
import { Lanes } from './lanes.js';
import { bodyLength, type Entry, type Message } from './message.js';
import type { Policy } from './policy.js';

/** Why a message leaves a queue without having been acknowledged; the words stand in `x-death`. */
export type DeathReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

/** Whoever takes messages out of a queue. */
export interface Consumer {
  readonly tag: string;
  readonly priority: number;
  readonly exclusive: boolean;
  /** True when it can take a message now. */
  ready(): boolean;
  /** Takes the entry; it tells the queue by `out`. */
  deliver(entry: Entry): void;
  /** The queue is gone. */
  cancelled(): void;
}

/** What a queue tells the rest of the broker. */
export interface QueueEvents {
  /** The entry went out and waits for its acknowledgement. */
  delivered(entry: Entry): void;
  /** The entry is done with: acknowledged, dropped or dead. */
  removed(entry: Entry): void;
  /** Called before `removed`. */
  died(entry: Entry, reason: DeathReason): void;
  /** Unused for `x-expires`, or without its last consumer. */
  abandoned(queue: Queue): void;
}

export interface QueueIdentity {
  readonly id: number;
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** The connection that alone may use it. */
  readonly owner: object | null;
  readonly args: Table;
  readonly policy: Policy;
}

const MAX_TIMER_MS = 2_147_483_647;

/** Messages in order, and who consumes them. */
export class Queue {
  readonly consumers: Consumer[] = [];
  readonly counters = { published: 0, delivered: 0, acked: 0 };
  unacked = 0;
  private readonly lanes: Lanes;
  private timer: NodeJS.Timeout | null = null;
  private timerAt = Infinity;
  private mortal = false;
  private idleTimer: NodeJS.Timeout | null = null;
  private usedAt = Date.now();
  private hadConsumer = false;
  private pumping = false;
  private deleted = false;

  constructor(
    readonly identity: QueueIdentity,
    private readonly events: QueueEvents,
  ) {
    this.lanes = new Lanes(identity.policy.maxPriority);
    this.armIdle();
  }

  /** Messages that wait for a consumer. */
  get ready(): number {
    return this.lanes.count;
  }

  get readyBytes(): number {
    return this.lanes.bytes;
  }

  get name(): string {
    return this.identity.name;
  }

  /** A message on its way into this queue. */
  entry(message: Message, deliveries = 0): Entry {
    const { messageTtl } = this.identity.policy;
    const ttl = Math.min(messageTtl ?? Infinity, message.ttl ?? Infinity);
    return { message, queue: this, deliveries, expiresAt: ttl === Infinity ? Infinity : message.receivedAt + ttl };
  }

  /** True when it is full and configured to refuse what does not fit. */
  refuses(message: Message): boolean {
    const { overflow, maxLength, maxLengthBytes } = this.identity.policy;
    if (overflow === 'drop-head') return false;
    return (
      (maxLength !== undefined && this.ready >= maxLength) ||
      (maxLengthBytes !== undefined && this.readyBytes + bodyLength(message) > maxLengthBytes)
    );
  }

  push(entry: Entry): void {
    this.counters.published += 1;
    if (this.ready === 0 && !this.pumping) {
      const consumer = this.next();
      if (consumer) {
        consumer.deliver(entry);
        return;
      }
    }
    this.restore(entry);
    this.pump();
    this.dropOverflow();
  }

  /** Puts an entry at the end without any other effect: how a restart fills the queue. */
  restore(entry: Entry): void {
    this.lanes.push(entry);
    if (entry.expiresAt !== Infinity) this.armExpiry(entry.expiresAt);
  }

  /** Hands out what consumers can take. */
  pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while (this.ready > 0) {
        const consumer = this.next();
        if (!consumer) return;
        const entry = this.shift();
        if (!entry) return;
        consumer.deliver(entry);
      }
    } finally {
      this.pumping = false;
    }
  }

  /** Takes the next message for `basic.get`; the taker tells by `out`. */
  pull(): Entry | undefined {
    this.touch();
    return this.shift();
  }

  acked(entry: Entry): void {
    this.unacked -= 1;
    this.counters.acked += 1;
    this.events.removed(entry);
  }

  rejected(entry: Entry): void {
    this.unacked -= 1;
    if (this.deleted) this.events.removed(entry);
    else this.die(entry, 'rejected');
  }

  /** Takes entries back, in their old places; a quorum queue serves them in the order in which they come back. */
  requeue(entries: readonly Entry[]): void {
    this.unacked -= entries.length;
    if (this.deleted) {
      for (const entry of entries) this.events.removed(entry);
      return;
    }
    const { type, deliveryLimit } = this.identity.policy;
    // Backwards, each old place is at the head or near it.
    for (const entry of type === 'quorum' ? entries : entries.toReversed()) {
      if (deliveryLimit !== undefined && entry.deliveries > deliveryLimit) {
        this.die(entry, 'delivery_limit');
        continue;
      }
      this.lanes.giveBack(entry, type === 'quorum' ? 'behind' : 'old');
      if (entry.expiresAt !== Infinity) this.armExpiry(entry.expiresAt);
    }
    this.pump();
    this.dropOverflow();
  }

  /** Removes what is ready; returns how many. */
  purge(): number {
    let count = 0;
    for (let entry = this.lanes.take(); entry; entry = this.lanes.take()) {
      this.events.removed(entry);
      count += 1;
    }
    return count;
  }

  subscribe(consumer: Consumer): void {
    this.touch();
    this.hadConsumer = true;
    const at = this.identity.policy.singleActive
      ? -1
      : this.consumers.findIndex((other) => other.priority < consumer.priority);
    if (at < 0) this.consumers.push(consumer);
    else this.consumers.splice(at, 0, consumer);
  }

  unsubscribe(consumer: Consumer): void {
    const at = this.consumers.indexOf(consumer);
    if (at < 0) return;
    this.consumers.splice(at, 1);
    this.touch();
    if (this.consumers.length === 0 && this.identity.autoDelete && this.hadConsumer) this.events.abandoned(this);
    else this.pump();
  }

  /** The queue ends: consumers are told, messages are dropped. Returns how many were ready. */
  delete(): number {
    const count = this.purge();
    this.deleted = true;
    if (this.timer) clearTimeout(this.timer);
    if (this.idleTimer) clearTimeout(this.idleTimer);
    this.timer = this.idleTimer = null;
    for (const consumer of this.consumers.splice(0)) consumer.cancelled();
    return count;
  }

  /** Ends its timers without touching its messages. */
  stop(): void {
    if (this.timer) clearTimeout(this.timer);
    if (this.idleTimer) clearTimeout(this.idleTimer);
  }

  /** Somebody used it: `x-expires` begins anew. */
  touch(): void {
    this.usedAt = Date.now();
  }

  /** Notes that an entry left for a client. Called with the entry already out of the ready messages. */
  out(entry: Entry, noAck: boolean): void {
    this.counters.delivered += 1;
    if (noAck) {
      this.events.removed(entry);
      return;
    }
    this.unacked += 1;
    entry.deliveries += 1;
    this.events.delivered(entry);
  }

  private next(): Consumer | undefined {
    const list = this.consumers;
    if (this.identity.policy.singleActive) return list[0]?.ready() ? list[0] : undefined;
    for (let index = 0; index < list.length; index += 1) {
      const consumer = list[index];
      if (!consumer?.ready()) continue;
      if (list.length > 1) {
        let end = index;
        while (list[end + 1]?.priority === consumer.priority) end += 1;
        list.splice(index, 1);
        list.splice(end, 0, consumer);
      }
      return consumer;
    }
    return undefined;
  }

  /** The first message that has not expired. */
  private shift(): Entry | undefined {
    if (!this.mortal) return this.lanes.take();
    this.dropExpired();
    const entry = this.lanes.take();
    this.rearm();
    return entry;
  }

  private die(entry: Entry, reason: DeathReason): void {
    this.events.died(entry, reason);
    this.events.removed(entry);
  }

  private dropOverflow(): void {
    const { maxLength = Infinity, maxLengthBytes = Infinity } = this.identity.policy;
    while (this.ready > 0 && (this.ready > maxLength || this.readyBytes > maxLengthBytes)) {
      const entry = this.lanes.take();
      if (entry) this.die(entry, 'maxlen');
    }
  }

  private dropExpired(): void {
    for (const entry of this.lanes.expired(Date.now())) this.die(entry, 'expired');
  }

  /** Arms the timer for the messages at the heads; one that comes too early looks again. */
  private rearm(): void {
    const soonest = this.lanes.soonest();
    if (soonest !== Infinity) this.armExpiry(soonest);
  }

  private armExpiry(at: number): void {
    this.mortal = true;
    if (at >= this.timerAt || this.deleted) return;
    if (this.timer) clearTimeout(this.timer);
    this.timerAt = at;
    this.timer = setTimeout(
      () => {
        this.timer = null;
        this.timerAt = Infinity;
        this.dropExpired();
        this.rearm();
      },
      Math.min(Math.max(0, at - Date.now()), MAX_TIMER_MS),
    );
  }

  private armIdle(): void {
    const { expires } = this.identity.policy;
    if (expires === undefined) return;
    const wait = this.consumers.length > 0 ? expires : Math.max(1, this.usedAt + expires - Date.now());
    this.idleTimer = setTimeout(
      () => {
        if (this.consumers.length === 0 && Date.now() - this.usedAt >= expires) this.events.abandoned(this);
        else this.armIdle();
      },
      Math.min(wait, MAX_TIMER_MS),
    );
  }
}
