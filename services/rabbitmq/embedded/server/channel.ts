import type { Args, Method, MethodName } from '../codec/methods.js';
import { contentOf } from '../engine/dead-letter.js';
import { checkProperties } from '../engine/engine.js';
import type { Entry } from '../engine/message.js';
import type { Queue } from '../engine/queue.js';
import { AmqpError, refused } from '../engine/trouble.js';
import { Confirms } from './confirms.js';
import type { Connection } from './connection.js';
import type { ChannelConsumer } from './consumer.js';
import { Assembly, type Incoming } from './content.js';
import { DirectReply, REPLY_TO } from './direct-reply.js';
import { command } from './commands.js';

interface Unacked {
  readonly entry: Entry;
  /** null after `basic.get`. */
  readonly consumer: ChannelConsumer | null;
}

type Handler<N extends MethodName> = (channel: Channel, args: Args<N>) => void;
type Settlement = 'ack' | 'reject' | 'requeue';

interface Transaction {
  readonly messages: Incoming[];
  readonly settlements: { readonly how: Settlement; readonly tag: number; readonly multiple: boolean }[];
}

/** One channel: what it published, what it consumes, what it has not yet acknowledged. */
export class Channel {
  /** What changes the channel itself; everything else is a command. */
  private static readonly own: { readonly [N in MethodName]?: Handler<N> } = {
    'channel.open': (channel) => channel.opened(),
    'channel.close': (channel) => channel.closed(),
    'basic.publish': (channel, args) => channel.begin(args),
    'basic.ack': (channel, args) => channel.settle('ack', args.deliveryTag, args.multiple),
    'basic.nack': (channel, args) =>
      channel.settle(args.requeue ? 'requeue' : 'reject', args.deliveryTag, args.multiple),
    'basic.reject': (channel, args) => channel.settle(args.requeue ? 'requeue' : 'reject', args.deliveryTag, false),
    'basic.recover-async': (channel, args) => channel.recover(args.requeue),
    'basic.recover': (channel, args) => {
      channel.recover(args.requeue);
      channel.send('basic.recover-ok', {});
    },
    'tx.commit': (channel) => channel.commit(),
    'tx.rollback': (channel) => channel.rollback(),
  };

  readonly consumers = new Map<string, ChannelConsumer>();
  readonly directReply: DirectReply;
  /** Limit for the whole channel (`basic.qos` with global); 0 = none. */
  globalPrefetch = 0;
  /** Limit for consumers made from now on; 0 = none. */
  prefetch = 0;
  /** The queue declared last: what an empty queue name means. */
  lastQueue = '';
  confirms: Confirms | null = null;
  transaction: Transaction | null = null;
  private state: 'new' | 'open' | 'closing' | 'gone' = 'new';
  private assembly: Assembly | null = null;
  private readonly unacked = new Map<number, Unacked>();
  private lastTag = 0;

  constructor(
    readonly number: number,
    readonly connection: Connection,
  ) {
    this.directReply = new DirectReply(this);
  }

  get unackedCount(): number {
    return this.unacked.size;
  }

  send<N extends MethodName>(name: N, args: Args<N>): void {
    // A late confirm or delivery on a closed channel would make the client drop the connection.
    if (this.state === 'open') this.connection.send(this.number, name, args);
  }

  sendContent(content: Buffer, propertiesLength: number): void {
    if (this.state === 'open') this.connection.sendContent(this.number, content, propertiesLength);
  }

  canDeliver(noAck: boolean): boolean {
    return (
      this.state === 'open' &&
      this.connection.hasRoom() &&
      (noAck || this.globalPrefetch === 0 || this.unacked.size < this.globalPrefetch)
    );
  }

  /** Gives a delivery its tag; with a consumer (or after `basic.get`) it waits for its acknowledgement. */
  take(entry: Entry, consumer: ChannelConsumer | null, waits = consumer !== null): number {
    this.lastTag += 1;
    if (waits) this.unacked.set(this.lastTag, { entry, consumer });
    return this.lastTag;
  }

  /** A tag for a delivery that comes from no queue. */
  nextTag(): number {
    return (this.lastTag += 1);
  }

  method(method: Method): void {
    if (this.state === 'closing') {
      if (method.name === 'channel.close-ok') this.leave();
      else if (method.name === 'channel.close') {
        this.connection.send(this.number, 'channel.close-ok', {});
        this.leave();
      }
      return;
    }
    if (this.assembly) throw new AmqpError('UNEXPECTED_FRAME', `expected content header or body, got ${method.name}`);
    const own = Channel.own[method.name] as Handler<MethodName> | undefined;
    if (own) own(this, method.args);
    else command(this, method);
  }

  private opened(): void {
    if (this.state !== 'new') throw new AmqpError('CHANNEL_ERROR', "second 'channel.open' seen");
    this.state = 'open';
    this.send('channel.open-ok', {});
  }

  private closed(): void {
    this.release();
    this.connection.send(this.number, 'channel.close-ok', {});
    this.leave();
  }

  private begin(publish: Args<'basic.publish'>): void {
    if (publish.immediate) throw new AmqpError('NOT_IMPLEMENTED', 'immediate=true');
    this.assembly = new Assembly(publish);
  }

  private recover(requeue: boolean): void {
    if (!requeue) throw new AmqpError('NOT_IMPLEMENTED', 'requeue=false');
    this.finish(this.collect(0, true), 'requeue');
  }

  private rollback(): void {
    if (!this.transaction) throw refused('channel is not transactional');
    this.transaction = { messages: [], settlements: [] };
    this.send('tx.rollback-ok', {});
  }

  /** A header or body frame. */
  content(type: number, payload: Buffer): void {
    if (this.state !== 'open') return;
    if (!this.assembly) throw new AmqpError('UNEXPECTED_FRAME', 'expected method frame, got content');
    const message = this.assembly.add(type, payload);
    if (!message) return;
    this.assembly = null;
    this.check(message);
    if (this.transaction) this.transaction.messages.push(message);
    else this.publish(message);
  }

  private check({ publish, properties }: Incoming): void {
    const exchange = this.connection.vhost.exchange(publish.exchange);
    if (exchange.identity.internal) {
      throw new AmqpError(
        'ACCESS_REFUSED',
        `cannot publish to internal exchange '${exchange.name}' in vhost '${this.connection.vhost.name}'`,
      );
    }
    checkProperties(properties, this.connection.user);
  }

  private publish(message: Incoming): void {
    const { publish } = message;
    let { content, propertiesLength, properties } = message;
    if (publish.exchange === '' && publish.routingKey.startsWith(`${REPLY_TO}.`)) {
      const routed = this.directReply.deliver(publish.routingKey, content, propertiesLength);
      this.published(message, { routed, accepted: true, durable: false });
      return;
    }
    if (properties.replyTo === REPLY_TO) {
      properties = { ...properties, replyTo: this.directReply.address() };
      ({ content, propertiesLength } = contentOf(properties, content.subarray(propertiesLength)));
    }
    const { vhost, context } = this.connection;
    const exchange = vhost.exchange(publish.exchange);
    this.published(
      message,
      context.engine.publish(vhost, {
        exchange,
        routingKey: publish.routingKey,
        content,
        propertiesLength,
        properties,
      }),
    );
  }

  private published(
    message: Incoming,
    outcome: { readonly routed: boolean; readonly accepted: boolean; readonly durable: boolean },
  ): void {
    const { mandatory, exchange, routingKey } = message.publish;
    if (mandatory && !outcome.routed) {
      this.send('basic.return', { code: 312, text: 'NO_ROUTE', exchange, routingKey });
      this.sendContent(message.content, message.propertiesLength);
    }
    if (!this.confirms) return;
    this.confirms.count(outcome.accepted, outcome.durable);
    this.connection.context.confirmLater(this);
  }

  /** Called once per event-loop turn after something was published here. */
  confirm(): void {
    if (this.state === 'open') this.confirms?.send();
  }

  private settle(how: Settlement, tag: number, multiple: boolean): void {
    if (this.transaction) this.transaction.settlements.push({ how, tag, multiple });
    else this.finish(this.collect(tag, multiple), how);
  }

  private collect(tag: number, multiple: boolean): Unacked[] {
    if (multiple && tag === 0) {
      const all = [...this.unacked.values()];
      this.unacked.clear();
      return all;
    }
    const one = this.unacked.get(tag);
    if (!one) throw refused(`unknown delivery tag ${tag}`);
    if (!multiple) {
      this.unacked.delete(tag);
      return [one];
    }
    const found: Unacked[] = [];
    for (const [number, unacked] of this.unacked) {
      if (number > tag) break;
      this.unacked.delete(number);
      found.push(unacked);
    }
    return found;
  }

  private finish(settled: readonly Unacked[], how: Settlement): void {
    const back = new Map<Queue, Entry[]>();
    for (const { entry, consumer } of settled) {
      if (consumer) consumer.unacked -= 1;
      if (how === 'ack') {
        entry.queue.acked(entry);
        this.connection.context.engine.counters.acked += 1;
      } else if (how === 'reject') entry.queue.rejected(entry);
      else if (!back.get(entry.queue)?.push(entry)) back.set(entry.queue, [entry]);
    }
    for (const [queue, entries] of back) queue.requeue(entries);
    const first = settled[0];
    if (settled.length === 1 && first?.consumer && this.globalPrefetch === 0) first.consumer.subscription.queue.pump();
    else if (settled.length > 0) this.pump();
  }

  private commit(): void {
    const transaction = this.transaction;
    if (!transaction) throw refused('channel is not transactional');
    this.transaction = { messages: [], settlements: [] };
    for (const { how, tag, multiple } of transaction.settlements) this.finish(this.collect(tag, multiple), how);
    for (const message of transaction.messages) this.publish(message);
    this.connection.context.engine.synced().then(
      () => this.send('tx.commit-ok', {}),
      () => this.fail(new AmqpError('INTERNAL_ERROR', 'the data cannot be written', false), 0),
    );
  }

  /** Lets the queues of its consumers deliver again. */
  pump(): void {
    for (const consumer of [...this.consumers.values()]) consumer.subscription.queue.pump();
  }

  /** The consumer is no more; `notify` tells the client, if it wants to know. */
  forget(consumer: ChannelConsumer, notify: boolean): void {
    if (!this.consumers.delete(consumer.tag)) return;
    if (notify && this.connection.can('consumer_cancel_notify'))
      this.send('basic.cancel', { consumerTag: consumer.tag, nowait: true });
  }

  /** Ends the channel by the broker's will. */
  fail(error: AmqpError, methodId: number): void {
    if (this.state !== 'open') return;
    this.send('channel.close', {
      code: error.code,
      text: error.message,
      classId: Math.floor(methodId / 65_536),
      methodId: methodId % 65_536,
    });
    this.release();
    this.state = 'closing';
  }

  /** Gives back what it holds: consumers end, unacknowledged messages return to their queues. */
  release(): void {
    if (this.state === 'gone' || this.state === 'closing') return;
    this.state = 'gone';
    this.assembly = null;
    this.directReply.end();
    const consumers = [...this.consumers.values()];
    this.consumers.clear();
    for (const consumer of consumers) consumer.subscription.queue.unsubscribe(consumer);
    this.finish(this.collect(0, true), 'requeue');
  }

  private leave(): void {
    this.state = 'gone';
    this.connection.channels.delete(this.number);
  }
}
