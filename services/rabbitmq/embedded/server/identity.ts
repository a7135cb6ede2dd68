import { text, type Field, type Table } from '../codec/table.js';

/** Whose broker this is, told to every client that connects. */
export interface Identity {
  /** The project's layout id: probes compare it with their own. */
  readonly layoutId: string;
  readonly project: string;
}

export const PRODUCT = 'memt embedded broker';

/** The RabbitMQ whose behaviour it follows. */
export const VERSION = '3.10.8';

const CAPABILITIES = [
  'publisher_confirms',
  'exchange_exchange_bindings',
  'basic.nack',
  'consumer_cancel_notify',
  'connection.blocked',
  'consumer_priorities',
  'authentication_failure_close',
  'per_consumer_qos',
  'direct_reply_to',
] as const;

export function serverProperties(identity: Identity): Table {
  const table = (entries: readonly (readonly [string, Field])[]): Field => ({ type: 'F', value: new Map(entries) });
  return new Map<string, Field>([
    ['capabilities', table(CAPABILITIES.map((name) => [name, { type: 't', value: true }]))],
    ['product', text(PRODUCT)],
    ['version', text(VERSION)],
    ['platform', text(`Node.js ${process.versions.node}`)],
    [
      'information',
      text('For development and tests. Compatible with RabbitMQ 3.10 as far as the documentation of memt says'),
    ],
    [
      'memt',
      table([
        ['id', text(identity.layoutId)],
        ['project', text(identity.project)],
      ]),
    ],
  ]);
}
