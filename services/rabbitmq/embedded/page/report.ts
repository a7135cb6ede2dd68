import type { Queue } from '../engine/queue.js';
import type { VirtualHost } from '../engine/vhost.js';
import type { Connection } from '../server/connection.js';
import { PRODUCT, VERSION, type Identity } from '../server/identity.js';
import type { Broker } from '../server/server.js';
import type { Rates } from './rates.js';

/** A counter as RabbitMQ's management API shows it. */
interface Detail {
  readonly rate: number;
}

export interface QueueReport {
  readonly vhost: string;
  readonly name: string;
  readonly type: string;
  readonly durable: boolean;
  readonly auto_delete: boolean;
  readonly exclusive: boolean;
  readonly state: 'running';
  readonly messages: number;
  readonly messages_ready: number;
  readonly messages_unacknowledged: number;
  readonly message_bytes_ready: number;
  readonly consumers: number;
  readonly message_stats: {
    readonly publish: number;
    readonly publish_details: Detail;
    readonly deliver_get: number;
    readonly deliver_get_details: Detail;
    readonly ack: number;
    readonly ack_details: Detail;
  };
}

export interface ConnectionReport {
  readonly name: string;
  readonly user: string;
  readonly vhost: string;
  readonly state: string;
  readonly channels: number;
  readonly client: string;
  readonly connected_at: number;
}

/** Every queue of every virtual host. Field names are RabbitMQ's. */
export function reportQueues(broker: Broker, rates: Rates): QueueReport[] {
  const reports = [...broker.engine.vhosts.values()].flatMap((vhost) =>
    [...vhost.queues.values()].map((queue) => reportQueue(vhost, queue, rates)),
  );
  return reports.sort((a, b) => a.vhost.localeCompare(b.vhost) || a.name.localeCompare(b.name));
}

function reportQueue(vhost: VirtualHost, queue: Queue, rates: Rates): QueueReport {
  const { identity, ready, unacked, counters } = queue;
  const detail = (name: string, count: number): Detail => ({ rate: rates.rate(queue, name, count) });
  return {
    vhost: vhost.name,
    name: queue.name,
    type: identity.policy.type,
    durable: identity.durable,
    auto_delete: identity.autoDelete,
    exclusive: identity.owner !== null,
    state: 'running',
    messages: ready + unacked,
    messages_ready: ready,
    messages_unacknowledged: unacked,
    message_bytes_ready: queue.readyBytes,
    consumers: queue.consumers.length,
    message_stats: {
      publish: counters.published,
      publish_details: detail('publish', counters.published),
      deliver_get: counters.delivered,
      deliver_get_details: detail('deliver', counters.delivered),
      ack: counters.acked,
      ack_details: detail('ack', counters.acked),
    },
  };
}

export function reportConnections(broker: Broker): ConnectionReport[] {
  return [...broker.connections].map((connection: Connection) => ({
    name: connection.peer,
    user: connection.user,
    vhost: connection.state === 'running' ? connection.vhost.name : '',
    state: connection.state,
    channels: connection.channels.size,
    client: connection.clientName,
    connected_at: connection.connectedAt,
  }));
}

/** The answer of `/api/overview`. Field names are RabbitMQ's, `memt` is ours. */
export function reportOverview(broker: Broker, rates: Rates, identity: Identity): Record<string, unknown> {
  const queues = [...broker.engine.vhosts.values()].flatMap((vhost) => [...vhost.queues.values()]);
  const sum = (of: (queue: Queue) => number): number => queues.reduce((total, queue) => total + of(queue), 0);
  const { published, delivered, acked } = broker.engine.counters;
  return {
    product_name: PRODUCT,
    product_version: VERSION,
    rabbitmq_version: VERSION,
    management_version: VERSION,
    object_totals: {
      connections: broker.connections.size,
      channels: [...broker.connections].reduce((total, one) => total + one.channels.size, 0),
      exchanges: [...broker.engine.vhosts.values()].reduce((total, one) => total + one.exchanges.size, 0),
      queues: queues.length,
      consumers: sum((queue) => queue.consumers.length),
    },
    queue_totals: {
      messages: sum((queue) => queue.ready + queue.unacked),
      messages_ready: sum((queue) => queue.ready),
      messages_unacknowledged: sum((queue) => queue.unacked),
    },
    message_stats: {
      publish: published,
      publish_details: { rate: rates.rate(broker.engine, 'publish', published) },
      deliver_get: delivered,
      deliver_get_details: { rate: rates.rate(broker.engine, 'deliver', delivered) },
      ack: acked,
      ack_details: { rate: rates.rate(broker.engine, 'ack', acked) },
    },
    memt: {
      id: identity.layoutId,
      project: identity.project,
      log_bytes: broker.engine.logBytes,
      read_only: broker.engine.failure?.failure.what ?? null,
    },
  };
}
