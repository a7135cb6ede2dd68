import { randomBytes } from 'node:crypto';
import { textOf, type Table } from '../codec/table.js';
import {
  assertMatchMode,
  Exchange,
  EXCHANGE_TYPES,
  type Binding,
  type ExchangeIdentity,
  type ExchangeType,
} from './exchange.js';
import type { Topology } from './journal.js';
import { assertSameArguments, COMPARED_QUEUE_ARGUMENTS, policyOf } from './policy.js';
import { Queue, type QueueEvents } from './queue.js';
import type { Store } from './store.js';
import { describeBinding, describeExchange, describeQueue, isBindingLogged, isLogged, tableOf } from './topology.js';
import { AmqpError, refused } from './trouble.js';

export interface QueueRequest {
  readonly queue: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Table;
}
export interface ExchangeRequest {
  readonly exchange: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: Table;
}

const PREDECLARED: readonly (readonly [string, ExchangeType])[] = [
  ['', 'direct'],
  ['amq.direct', 'direct'],
  ['amq.fanout', 'fanout'],
  ['amq.topic', 'topic'],
  ['amq.headers', 'headers'],
  ['amq.match', 'headers'],
];

const NO_ARGS: Table = new Map();

/** Exchanges, queues and bindings of one virtual host. */
export class VirtualHost {
  readonly exchanges = new Map<string, Exchange>();
  readonly queues = new Map<string, Queue>();

  constructor(
    readonly name: string,
    private readonly store: () => Store,
    private readonly events: Omit<QueueEvents, 'abandoned'>,
  ) {
    for (const [exchange, type] of PREDECLARED)
      this.addExchange({ name: exchange, type, durable: true, autoDelete: false, internal: false, args: NO_ARGS });
  }

  private at(kind: 'queue' | 'exchange', name: string): string {
    return `${kind} '${name}' in vhost '${this.name}'`;
  }

  /** @throws AmqpError 404, or 405 when it is exclusive to another connection */
  queue(name: string, user: object): Queue {
    const queue = this.queues.get(name);
    if (!queue) throw new AmqpError('NOT_FOUND', `no ${this.at('queue', name)}`);
    this.assertOwner(queue, user);
    return queue;
  }

  private assertOwner(queue: Queue, user: object): void {
    const { owner, name } = queue.identity;
    if (owner !== null && owner !== user) throw this.locked(name);
  }

  private locked(name: string): AmqpError {
    return new AmqpError(
      'RESOURCE_LOCKED',
      `cannot obtain exclusive access to locked ${this.at('queue', name)}. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
    );
  }

  /** @throws AmqpError 404 */
  exchange(name: string): Exchange {
    const exchange = this.exchanges.get(name);
    if (!exchange) throw new AmqpError('NOT_FOUND', `no ${this.at('exchange', name)}`);
    return exchange;
  }

  declareQueue(request: QueueRequest, user: object): Queue {
    const existing = this.queues.get(request.queue);
    if (existing) {
      this.assertOwner(existing, user);
      this.assertSameQueue(request, existing);
      existing.touch();
      return existing;
    }
    if (request.queue.startsWith('amq.'))
      throw new AmqpError('ACCESS_REFUSED', `queue name '${request.queue}' contains reserved prefix 'amq.*'`);
    const name = request.queue === '' ? `amq.gen-${randomBytes(16).toString('base64url')}` : request.queue;
    const what = this.at('queue', name);
    const policy = policyOf(request.arguments, what);
    if (policy.type === 'quorum') {
      const wrong = !request.durable
        ? 'non-durable'
        : request.autoDelete
          ? 'auto-delete'
          : request.exclusive
            ? 'exclusive-owner'
            : undefined;
      if (wrong !== undefined) throw refused(`invalid property '${wrong}' for ${what}`);
    }
    const queue = this.addQueue({
      id: this.store().nextQueue(),
      name,
      durable: request.durable,
      autoDelete: request.autoDelete,
      owner: request.exclusive ? user : null,
      args: request.arguments,
      policy,
    });
    if (isLogged(queue)) this.store().declare(describeQueue(this.name, queue));
    return queue;
  }

  private assertSameQueue(request: QueueRequest, { identity }: Queue): void {
    const what = this.at('queue', identity.name);
    const compare = (arg: string, received: boolean, current: boolean): void => {
      if (received !== current)
        throw refused(`inequivalent arg '${arg}' for ${what}: received '${received}' but current is '${current}'`);
    };
    compare('durable', request.durable, identity.durable);
    compare('auto_delete', request.autoDelete, identity.autoDelete);
    if (request.exclusive !== (identity.owner !== null)) throw this.locked(identity.name);
    assertSameArguments(COMPARED_QUEUE_ARGUMENTS, request.arguments, identity.args, what);
  }

  private addQueue(identity: Queue['identity']): Queue {
    const queue = new Queue(identity, { ...this.events, abandoned: (gone) => void this.deleteQueue(gone) });
    this.queues.set(queue.name, queue);
    return queue;
  }

  /** Removes the queue with its bindings; returns how many messages were ready. */
  deleteQueue(queue: Queue): number {
    if (this.queues.get(queue.name) !== queue) return 0;
    this.queues.delete(queue.name);
    const count = queue.delete();
    this.dropBindingsTo(queue);
    if (isLogged(queue)) this.store().declare({ op: 'queue-delete', id: queue.identity.id });
    return count;
  }

  declareExchange(request: ExchangeRequest): void {
    const { exchange: name, type, durable, autoDelete, internal } = request;
    const known = EXCHANGE_TYPES.find((one) => one === type);
    if (!known)
      throw new AmqpError('COMMAND_INVALID', `${type === '' ? 'invalid' : 'unknown'} exchange type '${type}'`);
    const existing = this.exchanges.get(name);
    if (existing) {
      this.assertSameExchange(request, existing);
      return;
    }
    if (name.startsWith('amq.'))
      throw new AmqpError('ACCESS_REFUSED', `exchange name '${name}' contains reserved prefix 'amq.*'`);
    const exchange = this.addExchange({ name, type: known, durable, autoDelete, internal, args: request.arguments });
    if (durable) this.store().declare(describeExchange(this.name, exchange));
  }

  private assertSameExchange(request: ExchangeRequest, { identity }: Exchange): void {
    const what = this.at('exchange', identity.name);
    const pairs = [
      ['type', request.type, identity.type],
      ['durable', request.durable, identity.durable],
      ['auto_delete', request.autoDelete, identity.autoDelete],
      ['internal', request.internal, identity.internal],
    ] as const;
    for (const [arg, received, current] of pairs) {
      if (received !== current)
        throw refused(`inequivalent arg '${arg}' for ${what}: received '${received}' but current is '${current}'`);
    }
    assertSameArguments(['alternate-exchange'], request.arguments, identity.args, what);
  }

  private addExchange(identity: ExchangeIdentity): Exchange {
    const exchange = new Exchange(identity);
    this.exchanges.set(identity.name, exchange);
    return exchange;
  }

  deleteExchange(name: string, ifUnused: boolean): void {
    const exchange = this.exchanges.get(name);
    if (PREDECLARED.some(([reserved]) => reserved === name)) {
      throw new AmqpError('ACCESS_REFUSED', `deletion of system ${this.at('exchange', name)} not allowed`);
    }
    if (!exchange) return; // deleting what is not there succeeds, as in RabbitMQ
    if (ifUnused && exchange.bindings.length > 0) throw refused(`${this.at('exchange', name)} in use`);
    this.removeExchange(exchange);
  }

  private removeExchange(exchange: Exchange): void {
    if (this.exchanges.get(exchange.name) !== exchange) return;
    this.exchanges.delete(exchange.name);
    this.dropBindingsTo(exchange);
    if (exchange.identity.durable)
      this.store().declare({ op: 'exchange-delete', vhost: this.name, name: exchange.name });
  }

  /** @throws AmqpError 406 for a headers exchange that is told to match in an unknown way */
  bind(source: Exchange, binding: Binding): void {
    if (source.identity.type === 'headers') assertMatchMode(binding.args);
    if (source.find(binding.destination, binding.routingKey, binding.args)) return;
    source.add(binding);
    if (isBindingLogged(source, binding)) this.store().declare(describeBinding(this.name, 'bind', source, binding));
  }

  unbind(source: Exchange, destination: Queue | Exchange, routingKey: string, args: Table): void {
    const binding = source.find(destination, routingKey, args);
    if (!binding) return;
    source.remove((one) => one === binding);
    if (isBindingLogged(source, binding)) this.store().declare(describeBinding(this.name, 'unbind', source, binding));
    this.deleteIfUnused(source);
  }

  private dropBindingsTo(destination: Queue | Exchange): void {
    for (const exchange of [...this.exchanges.values()]) {
      if (exchange.remove((binding) => binding.destination === destination)) this.deleteIfUnused(exchange);
    }
  }

  private deleteIfUnused(exchange: Exchange): void {
    if (exchange.identity.autoDelete && exchange.bindings.length === 0) this.removeExchange(exchange);
  }

  /** Queues that a message reaches, each once, through exchange bindings and alternate exchanges. */
  route(exchange: Exchange, routingKeys: readonly string[], headers: () => Table): Set<Queue> {
    const queues = new Set<Queue>();
    const seen = new Set<Exchange>();
    const visit = (from: Exchange): void => {
      if (seen.has(from)) return;
      seen.add(from);
      from.published += 1;
      let found = false;
      for (const key of routingKeys) {
        if (from.name === '') {
          const queue = this.queues.get(key);
          if (queue) queues.add(queue);
          found ||= queue !== undefined;
          continue;
        }
        for (const { destination } of from.match(key, headers)) {
          found = true;
          if (destination instanceof Queue) queues.add(destination);
          else visit(destination);
        }
      }
      const alternate = found
        ? undefined
        : this.exchanges.get(textOf(from.identity.args.get('alternate-exchange')) ?? ' ');
      if (alternate) visit(alternate);
    };
    visit(exchange);
    return queues;
  }

  /** Everything durable, in an order in which it can be made again. */
  *describe(): Generator<Topology> {
    const predeclared = new Set(PREDECLARED.map(([name]) => name));
    const exchanges = [...this.exchanges.values()].filter((one) => one.identity.durable);
    for (const exchange of exchanges) if (!predeclared.has(exchange.name)) yield describeExchange(this.name, exchange);
    for (const queue of this.queues.values()) if (isLogged(queue)) yield describeQueue(this.name, queue);
    for (const source of exchanges) {
      for (const binding of source.bindings)
        if (isBindingLogged(source, binding)) yield describeBinding(this.name, 'bind', source, binding);
    }
  }

  /** Makes again what the log says, without logging it. */
  restore(topology: Exclude<Topology, { op: 'queue-delete' }>): Queue | undefined {
    switch (topology.op) {
      case 'queue': {
        const args = tableOf(topology.args);
        const { id, name, autoDelete } = topology;
        return this.addQueue({
          id,
          name,
          durable: true,
          autoDelete,
          owner: null,
          args,
          policy: policyOf(args, this.at('queue', name)),
        });
      }
      case 'exchange': {
        const { name, autoDelete, internal } = topology;
        const type = EXCHANGE_TYPES.find((one) => one === topology.type);
        if (type) this.addExchange({ name, type, durable: true, autoDelete, internal, args: tableOf(topology.args) });
        return undefined;
      }
      case 'exchange-delete':
        this.forgetExchange(topology.name);
        return undefined;
      case 'bind':
      case 'unbind': {
        const source = this.exchanges.get(topology.source);
        const destination = (topology.kind === 'queue' ? this.queues : this.exchanges).get(topology.destination);
        if (!source || !destination) return undefined;
        const binding = { destination, routingKey: topology.routingKey, args: tableOf(topology.args) };
        const existing = source.find(destination, binding.routingKey, binding.args);
        if (topology.op === 'bind' && !existing) source.add(binding);
        if (topology.op === 'unbind' && existing) source.remove((one) => one === existing);
        return undefined;
      }
    }
  }

  /** A queue that the log says was deleted: gone with its bindings. */
  forgetQueue(queue: Queue): void {
    queue.stop();
    this.queues.delete(queue.name);
    for (const exchange of this.exchanges.values()) exchange.remove((binding) => binding.destination === queue);
  }

  private forgetExchange(name: string): void {
    const exchange = this.exchanges.get(name);
    this.exchanges.delete(name);
    for (const other of this.exchanges.values()) other.remove((binding) => binding.destination === exchange);
  }
}
