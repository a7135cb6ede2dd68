import { randomBytes } from 'node:crypto';
import type { Args, Method } from '../codec/methods.js';
import { integerOf, typeName, type Table } from '../codec/table.js';
import { deliveryContent } from '../engine/engine.js';
import { propertiesOf } from '../engine/message.js';
import type { Queue } from '../engine/queue.js';
import { AmqpError, refused } from '../engine/trouble.js';
import type { Channel } from './channel.js';
import { Confirms } from './confirms.js';
import { ChannelConsumer } from './consumer.js';
import { REPLY_TO } from './direct-reply.js';

/** Methods about exchanges, queues, consumers and modes. @throws AmqpError */
export function command(channel: Channel, method: Method): void {
  const { vhost } = channel.connection;
  switch (method.name) {
    case 'channel.flow':
      if (!method.args.active) throw new AmqpError('NOT_IMPLEMENTED', 'active=false');
      return channel.send('channel.flow-ok', { active: true });
    case 'channel.flow-ok':
      return;
    case 'exchange.declare':
      return declareExchange(channel, method.args);
    case 'exchange.delete':
      assertNotDefault(method.args.exchange);
      vhost.deleteExchange(method.args.exchange, method.args.ifUnused);
      return method.args.nowait ? undefined : channel.send('exchange.delete-ok', {});
    case 'exchange.bind':
    case 'exchange.unbind': {
      const { source, destination, routingKey, nowait } = method.args;
      assertNotDefault(source);
      assertNotDefault(destination);
      const from = vhost.exchange(source);
      const to = vhost.exchange(destination);
      if (method.name === 'exchange.bind') vhost.bind(from, { destination: to, routingKey, args: method.args.arguments });
      else vhost.unbind(from, to, routingKey, method.args.arguments);
      if (!nowait) channel.send(method.name === 'exchange.bind' ? 'exchange.bind-ok' : 'exchange.unbind-ok', {});
      return;
    }
    case 'queue.declare':
      return declareQueue(channel, method.args);
    case 'queue.bind':
      return bindQueue(channel, method.args);
    case 'queue.unbind': {
      const { exchange, routingKey } = method.args;
      assertNotDefault(exchange);
      // Unbinding what is not there succeeds, as in RabbitMQ.
      const source = vhost.exchanges.get(exchange);
      const name = method.args.queue === '' ? channel.lastQueue : method.args.queue;
      if (source && vhost.queues.has(name)) vhost.unbind(source, queueOf(channel, name), routingKey, method.args.arguments);
      return channel.send('queue.unbind-ok', {});
    }
    case 'queue.purge': {
      const messages = queueOf(channel, method.args.queue).purge();
      return method.args.nowait ? undefined : channel.send('queue.purge-ok', { messages });
    }
    case 'queue.delete':
      return deleteQueue(channel, method.args);
    case 'basic.qos':
      return setPrefetch(channel, method.args);
    case 'basic.consume':
      return consume(channel, method.args);
    case 'basic.cancel':
      return cancel(channel, method.args);
    case 'basic.get':
      return get(channel, method.args);
    case 'confirm.select':
      if (channel.transaction) throw refused('cannot switch from tx to confirm mode');
      channel.confirms ??= new Confirms(channel, () => channel.connection.context.engine.synced());
      return method.args.nowait ? undefined : channel.send('confirm.select-ok', {});
    case 'tx.select':
      if (channel.confirms) throw refused('cannot switch from confirm to tx mode');
      channel.transaction ??= { messages: [], settlements: [] };
      return channel.send('tx.select-ok', {});
    case 'basic.cancel-ok':
      return; // some clients answer a cancel notification
    default:
      throw new AmqpError('COMMAND_INVALID', `${method.name} is not for a server`);
  }
}

function assertNotDefault(exchange: string): void {
  if (exchange === '') throw new AmqpError('ACCESS_REFUSED', 'operation not permitted on the default exchange');
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
    if (args.queue !== REPLY_TO && !channel.directReply.known(args.queue)) throw new AmqpError('NOT_FOUND', `no queue '${args.queue}' in vhost '${connection.vhost.name}'`);
    return channel.send('queue.declare-ok', { queue: args.queue, messages: 0, consumers: 1 });
  }
  const queue = args.passive ? queueOf(channel, args.queue) : connection.vhost.declareQueue(args, connection);
  queue.touch();
  channel.lastQueue = queue.name;
  if (!args.nowait) channel.send('queue.declare-ok', { queue: queue.name, messages: queue.ready, consumers: queue.consumers.length });
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
  if (queue.identity.policy.type === 'quorum' && channel.globalPrefetch > 0) throw new AmqpError('NOT_IMPLEMENTED', `${where} does not support global qos`);
  const consumer = new ChannelConsumer(channel, {
    tag, queue, noAck: args.noAck, exclusive: args.exclusive, priority: priorityOf(args.arguments, where), prefetch: channel.prefetch,
  });
  channel.consumers.set(tag, consumer);
  if (!args.nowait) channel.send('basic.consume-ok', { consumerTag: tag });
  queue.subscribe(consumer);
  queue.pump();
}

function priorityOf(args: Table, where: string): number {
  const field = args.get('x-priority');
  const priority = integerOf(field);
  if (field !== undefined && priority === undefined) throw refused(`invalid arg 'x-priority' for ${where}: "expected integer, got ${typeName(field)}"`);
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
  if (!entry) return channel.send('basic.get-empty', {});
  const { content, propertiesLength } = deliveryContent(entry, propertiesOf);
  const redelivered = entry.deliveries > 0;
  queue.out(entry, args.noAck);
  channel.connection.context.engine.counters.delivered += 1;
  const { exchange, routingKey } = entry.message;
  const deliveryTag = channel.take(entry, null, !args.noAck);
  channel.send('basic.get-ok', { deliveryTag, redelivered, exchange, routingKey, messages: queue.ready });
  channel.sendContent(content, propertiesLength);
}
