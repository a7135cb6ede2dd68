import { decodeTable, encodeTable, type Table } from '../codec/table.js';
import type { Binding, Exchange } from './exchange.js';
import type { Topology } from './journal.js';
import { Queue } from './queue.js';

/** Durable and not exclusive: it and its persistent messages come back after a restart. */
export function isLogged({ identity }: Queue): boolean {
  return identity.durable && identity.owner === null;
}

export function isBindingLogged(source: Exchange, { destination }: Binding): boolean {
  return (
    source.identity.durable && (destination instanceof Queue ? isLogged(destination) : destination.identity.durable)
  );
}

export function describeQueue(vhost: string, { identity }: Queue): Topology {
  const { id, name, autoDelete, args } = identity;
  return { op: 'queue', id, vhost, name, autoDelete, args: textOfTable(args) };
}

export function describeExchange(vhost: string, { identity }: Exchange): Topology {
  const { name, type, autoDelete, internal, args } = identity;
  return { op: 'exchange', vhost, name, type, autoDelete, internal, args: textOfTable(args) };
}

export function describeBinding(
  vhost: string,
  op: 'bind' | 'unbind',
  source: Exchange,
  { destination, routingKey, args }: Binding,
): Topology {
  const kind = destination instanceof Queue ? 'queue' : 'exchange';
  return { op, vhost, source: source.name, kind, destination: destination.name, routingKey, args: textOfTable(args) };
}

function textOfTable(table: Table): string {
  return encodeTable(table).toString('base64');
}

/** The table that a description holds. */
export function tableOf(base64: string): Table {
  return decodeTable(Buffer.from(base64, 'base64'));
}
