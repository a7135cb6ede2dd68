import { deliveryContent } from '../engine/engine.js';
import { propertiesOf, type Entry } from '../engine/message.js';
import type { Consumer, Queue } from '../engine/queue.js';
import type { Channel } from './channel.js';

export interface Subscription {
  readonly tag: string;
  readonly queue: Queue;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority: number;
  /** Most unacknowledged messages at a time; 0 = no limit. */
  readonly prefetch: number;
}

/** One `basic.consume`. */
export class ChannelConsumer implements Consumer {
  unacked = 0;

  constructor(
    readonly channel: Channel,
    readonly subscription: Subscription,
  ) {}

  get tag(): string {
    return this.subscription.tag;
  }
  get priority(): number {
    return this.subscription.priority;
  }
  get exclusive(): boolean {
    return this.subscription.exclusive;
  }

  ready(): boolean {
    const { noAck, prefetch } = this.subscription;
    return this.channel.canDeliver(noAck) && (noAck || prefetch === 0 || this.unacked < prefetch);
  }

  deliver(entry: Entry): void {
    const { tag, noAck, queue } = this.subscription;
    const { content, propertiesLength } = deliveryContent(entry, propertiesOf);
    const redelivered = entry.deliveries > 0;
    queue.out(entry, noAck);
    this.channel.connection.context.engine.counters.delivered += 1;
    if (!noAck) this.unacked += 1;
    const { exchange, routingKey } = entry.message;
    const deliveryTag = this.channel.take(entry, noAck ? null : this);
    this.channel.send('basic.deliver', { consumerTag: tag, deliveryTag, redelivered, exchange, routingKey });
    this.channel.sendContent(content, propertiesLength);
  }

  cancelled(): void {
    this.channel.forget(this, true);
  }
}
