import { randomBytes } from 'node:crypto';
import type { Args, Method, MethodName } from '../codec/methods.js';
import { integerOf, typeName, type Table } from '../codec/table.js';
import { deliveryContent } from '../engine/engine.js';
import type { Exchange } from '../engine/exchange.js';
import { propertiesOf } from '../engine/message.js';
import type { Queue } from '../engine/queue.js';
import { AmqpError, refused } from '../engine/trouble.js';
import type { Channel } from './channel.js';
import { Confirms } from './confirms.js';
import { ChannelConsumer } from './consumer.js';
import { REPLY_TO } from './direct-reply.js';

type Handler<N extends MethodName> = (channel: Channel, args: Args<N>) => void;

const COMMANDS: { readonly [N in MethodName]?: Handler<N> } = {
  'channel.flow': (channel, args) => {
    if (!args.active) throw new AmqpError('NOT_IMPLEMENTED', 'active=false');
    channel.send('channel.flow-ok', { active: true });
  },
  'channel.flow-ok': () => undefined,
  'exchange.declare': declareExchange,
  'exchange.delete': (channel, args) => {
    assertNotDefault(args.exchange);
    channel.connection.vhost.deleteExchange(args.exchange, args.ifUnused);
    if (!args.nowait) channel.send('exchange.delete-ok', {});
  },
  'exchange.bind': (channel, args) => {
    const [source, destination] = exchangesOf(channel, args);
    channel.connection.vhost.bind(source, { destination, routingKey: args.routingKey, args: args.arguments });
    if (!args.nowait) channel.send('exchange.bind-ok', {});
  },
  'exchange.unbind': (channel, args) => {
    const [source, destination] = exchangesOf(channel, args);
    channel.connection.vhost.unbind(source, destination, args.routingKey, args.arguments);
    if (!args.nowait) channel.send('exchange.unbind-ok', {});
  },
  'queue.declare': declareQueue,
  'queue.bind': bindQueue,
  'queue.unbind': unbindQueue,
  'queue.purge': (channel, args) => {
    const messages = queueOf(channel, args.queue).purge();
    if (!args.nowait) channel.send('queue.purge-ok', { messages });
  },
  'queue.delete': deleteQueue,
  'basic.qos': setPrefetch,
  'basic.consume': consume,
  'basic.cancel': cancel,
  'basic.cancel-ok': () => undefined, // some clients answer a cancel notification
  'basic.get': get,
  'confirm.select': (channel, args) => {
    if (channel.transaction) throw refused('cannot switch from tx to confirm mode');
    channel.confirms ??= new Confirms(channel, () => channel.connection.context.engine.synced());
    if (!args.nowait) channel.send('confirm.select-ok', {});
  },
  'tx.select': (channel) => {
    if (channel.confirms) throw refused('cannot switch from confirm to tx mode');
    channel.transaction ??= { messages: [], settlements: [] };
    channel.send('tx.select-ok', {});
  },
};

/** Carries out a method about exchanges, queues, consumers or modes. @throws AmqpError */
export function command(channel: Channel, method: Method): void {
  const handler = COMMANDS[method.name] as Handler<MethodName> | undefined;
  if (!handler) throw new AmqpError('COMMAND_INVALID', `${method.name} is not for a server`);
  handler(channel, method.args);
}

function assertNotDefault(exchange: string): void {
  if (exchange === '') throw new AmqpError('ACCESS_REFUSED', 'operation not permitted on the default exchange');
}

function exchangesOf(
  channel: Channel,
  args: { readonly source: string; readonly destination: string },
): [Exchange, Exchange] {
  const { vhost } = channel.connection;
  assertNotDefault(args.source);
  assertNotDefault(args.destination);
  return [vhost.exchange(args.source), vhost.exchange(args.destination)];
}

/** The queue of that name; empty means the one declared last on this channel. */
function queueOf(channel: Channel, name: string): Queue {
  if (name === '' && channel.lastQueue === '') throw new AmqpError('NOT_FOUND', 'no previously declared queue');
  return channel.connection.vhost.queue(name === '' ? channel.lastQueue : name, channel.connection);
}

function declareExchange(channel: Channel, args: Args<'exchange.declare'>): void {
  const { vhost } = channel.connection;
  assertNotDefault(args.exchange);
  if (args.passive) vhost.exchange(args.exchange);
  else vhost.declareExchange(args);
  if (!args.nowait) channel.send('exchange.declare-ok', {});
}

function declareQueue(channel: Channel, args: Args<'queue.declare'>): void {
  const { connection } = channel;
  if (args.queue === REPLY_TO || args.queue.startsWith(`${REPLY_TO}.`)) {
    if (args.queue !== REPLY_TO && !channel.directReply.known(args.queue))
      throw new AmqpError('NOT_FOUND', `no queue '${args.queue}' in vhost '${connection.vhost.name}'`);
    channel.send('queue.declare-ok', { queue: args.queue, messages: 0, consumers: 1 });
    return;
  }
  const queue = args.passive ? queueOf(channel, args.queue) : connection.vhost.declareQueue(args, connection);
  queue.touch();
  channel.lastQueue = queue.name;
  if (!args.nowait)
    channel.send('queue.declare-ok', { queue: queue.name, messages: queue.ready, consumers: queue.consumers.length });
}

function bindQueue(channel: Channel, args: Args<'queue.bind'>): void {
  const { vhost } = channel.connection;
  assertNotDefault(args.exchange);
  const destination = queueOf(channel, args.queue);
  // As in RabbitMQ: an empty key with an empty queue name means the name of the queue declared last.
  const routingKey = args.queue === '' && args.routingKey === '' ? destination.name : args.routingKey;
  vhost.bind(vhost.exchange(args.exchange), { destination, routingKey, args: args.arguments });
  if (!args.nowait) channel.send('queue.bind-ok', {});
}

function unbindQueue(channel: Channel, args: Args<'queue.unbind'>): void {
  const { vhost } = channel.connection;
  assertNotDefault(args.exchange);
  // Unbinding what is not there succeeds, as in RabbitMQ.
  const source = vhost.exchanges.get(args.exchange);
  const name = args.queue === '' ? channel.lastQueue : args.queue;
  if (source && vhost.queues.has(name)) vhost.unbind(source, queueOf(channel, name), args.routingKey, args.arguments);
  channel.send('queue.unbind-ok', {});
}

function deleteQueue(channel: Channel, args: Args<'queue.delete'>): void {
  const { connection } = channel;
  const existing = connection.vhost.queues.has(args.queue === '' ? channel.lastQueue : args.queue);
  let messages = 0;
  if (existing) {
    const queue = queueOf(channel, args.queue);
    const what = `queue '${queue.name}' in vhost '${connection.vhost.name}'`;
    if (args.ifUnused && queue.consumers.length > 0) throw refused(`${what} in use`);
    if (args.ifEmpty && queue.ready > 0) throw refused(`${what} not empty`);
    messages = connection.vhost.deleteQueue(queue);
  }
  if (!args.nowait) channel.send('queue.delete-ok', { messages });
}

function setPrefetch(channel: Channel, args: Args<'basic.qos'>): void {
  if (args.prefetchSize !== 0) throw new AmqpError('NOT_IMPLEMENTED', `prefetch_size!=0 (${args.prefetchSize})`);
  if (args.global) channel.globalPrefetch = args.prefetchCount;
  else channel.prefetch = args.prefetchCount;
  channel.send('basic.qos-ok', {});
  channel.pump();
}

function consume(channel: Channel, args: Args<'basic.consume'>): void {
  const tag = args.consumerTag === '' ? `amq.ctag-${randomBytes(16).toString('base64url')}` : args.consumerTag;
  if (channel.consumers.has(tag)) throw new AmqpError('NOT_ALLOWED', `attempt to reuse consumer tag '${tag}'`);
  if (args.queue === REPLY_TO) {
    if (!args.noAck) throw refused('reply consumer cannot acknowledge');
    channel.directReply.start(tag);
    if (!args.nowait) channel.send('basic.consume-ok', { consumerTag: tag });
    return;
  }
  const queue = queueOf(channel, args.queue);
  const where = `queue '${queue.name}' in vhost '${channel.connection.vhost.name}'`;
  if (queue.consumers.some((one) => one.exclusive) || (args.exclusive && queue.consumers.length > 0)) {
    throw new AmqpError('ACCESS_REFUSED', `${where} in exclusive use`);
  }
  if (queue.identity.policy.type === 'quorum' && channel.globalPrefetch > 0)
    throw new AmqpError('NOT_IMPLEMENTED', `${where} does not support global qos`);
  const consumer = new ChannelConsumer(channel, {
    tag,
    queue,
    noAck: args.noAck,
    exclusive: args.exclusive,
    priority: priorityOf(args.arguments, where),
    prefetch: channel.prefetch,
  });
  channel.consumers.set(tag, consumer);
  if (!args.nowait) channel.send('basic.consume-ok', { consumerTag: tag });
  queue.subscribe(consumer);
  queue.pump();
}

function priorityOf(args: Table, where: string): number {
  const field = args.get('x-priority');
  const priority = integerOf(field);
  if (field !== undefined && priority === undefined)
    throw refused(`invalid arg 'x-priority' for ${where}: "expected integer, got ${typeName(field)}"`);
  return priority ?? 0;
}

function cancel(channel: Channel, args: Args<'basic.cancel'>): void {
  const consumer = channel.consumers.get(args.consumerTag);
  if (consumer) {
    channel.forget(consumer, false);
    consumer.subscription.queue.unsubscribe(consumer);
  } else channel.directReply.cancel(args.consumerTag);
  if (!args.nowait) channel.send('basic.cancel-ok', { consumerTag: args.consumerTag });
}

function get(channel: Channel, args: Args<'basic.get'>): void {
  const queue = queueOf(channel, args.queue);
  const entry = queue.pull();
  if (!entry) {
    channel.send('basic.get-empty', {});
    return;
  }
  const { content, propertiesLength } = deliveryContent(entry, propertiesOf);
  const redelivered = entry.deliveries > 0;
  queue.out(entry, args.noAck);
  channel.connection.context.engine.counters.delivered += 1;
  const { exchange, routingKey } = entry.message;
  const deliveryTag = channel.take(entry, null, !args.noAck);
  channel.send('basic.get-ok', { deliveryTag, redelivered, exchange, routingKey, messages: queue.ready });
  channel.sendContent(content, propertiesLength);
}
