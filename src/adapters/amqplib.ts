import type { Channel, ChannelModel } from 'amqplib';
import type {
  Broker,
  BrokerHealth,
  ConsumeOptions,
  OutgoingMessage,
  Route,
  Subscription,
  Topology,
} from '../ports/broker.js';
import { withDeadline } from '../util/deadline.js';
import { asError } from '../util/errors.js';
import { Consumers, type ConsumeSession } from './amqp-consumer.js';
import { Link, type LinkEvents } from './amqp-link.js';
import { Publisher, type PublishSession } from './amqp-publisher.js';

/** A dead peer is noticed after two to three of these, s. */
const HEARTBEAT_S = 10;
const CONNECT_MS = 4000;
const SETUP_MS = 15_000;
const POLITE_CLOSE_MS = 1000;

interface Connected {
  readonly model: ChannelModel;
}

/** What amqplib keeps behind its public face. */
interface Inner {
  readonly blocked: boolean;
  readonly stream: { destroy(): void };
}

/**
 * RabbitMQ through amqplib, loaded at first use. Two connections, each opened when first needed: a memory or disk alarm stops
 * the socket that publishes, and must not stop the acks.
 * @param url `amqp://` or `amqps://`
 * @throws TypeError when it is none
 */
export function createAmqpBroker(options: { readonly url: string; readonly name: string }): Broker {
  const url = withHeartbeat(options.url);
  const topologies: Topology[] = [];

  const publisher: Publisher = new Publisher(() => publishLink);
  const publishLink = new Link<PublishSession & Connected>({
    async open(events) {
      let session: (PublishSession & Connected) | null = null;
      const { model, blocked } = await connect(url, `${options.name} publish`, events, (reason) => {
        if (session) session.blocked = reason;
      });
      const channel = await prepare(model, events, topologies, () => model.createConfirmChannel());
      session = { model, channel, blocked: blocked() };
      return session;
    },
    discard: (session) => void hangUp(session.model, POLITE_CLOSE_MS),
    onUp: (session) => publisher.onUp(session),
    onDown: (reason) => publisher.onDown(reason),
  });

  const consumers: Consumers = new Consumers(() => consumeLink);
  const consumeLink = new Link<ConsumeSession & Connected>({
    async open(events) {
      const { model } = await connect(url, `${options.name} consume`, events, () => undefined);
      return { model, channel: await prepare(model, events, topologies, () => model.createChannel()) };
    },
    discard: (session) => void hangUp(session.model, POLITE_CLOSE_MS),
    onUp: (session) => consumers.onUp(session),
    onDown: () => consumers.onDown(),
  });

  return {
    declare(topology) {
      topologies.push(topology);
      declareOn(publishLink, topology);
      declareOn(consumeLink, topology);
    },
    publish: (route: Route, message: OutgoingMessage, { timeoutMs }) => publisher.publish(route, message, timeoutMs),
    consume: (wish: ConsumeOptions): Subscription => consumers.consume(wish),
    health: (): BrokerHealth => {
      const blocked = publishLink.session?.blocked ?? null;
      return {
        publishing: publishLink.session !== null && blocked === null,
        consuming: consumers.consuming,
        reason: blocked ?? consumeLink.reason ?? publishLink.reason,
      };
    },
    async close(timeoutMs = POLITE_CLOSE_MS) {
      publisher.close();
      consumers.close();
      const sessions = [publishLink.close(), consumeLink.close()].filter((session) => session !== null);
      await Promise.all(sessions.map((session) => hangUp(session.model, timeoutMs)));
    },
  };
}

function withHeartbeat(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^amqps?:$/.test(url.protocol))
    throw new TypeError('the broker must be an amqp:// or amqps:// URL');
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(HEARTBEAT_S));
  return url.href;
}

async function connect(
  url: string,
  name: string,
  events: LinkEvents,
  onBlocked: (reason: string | null) => void,
): Promise<Connected & { readonly blocked: () => string | null }> {
  const amqplib = await loadAmqplib();
  const opening = amqplib.connect(url, {
    // Without it every small frame waits for the delayed ACK: 44 ms instead of 0.8 ms.
    noDelay: true,
    keepAlive: true,
    timeout: CONNECT_MS,
    clientProperties: { connection_name: name },
  });
  let model: ChannelModel;
  try {
    model = await withDeadline(opening, CONNECT_MS, 'connect to the broker');
  } catch (error) {
    opening.then(
      (late) => hangUp(late, 0),
      () => undefined,
    );
    throw error;
  }
  let blocked: string | null = innerOf(model).blocked ? 'alarm' : null;
  const block = (reason: string | null): void => {
    blocked = reason;
    onBlocked(reason);
  };
  model.on('error', (error) => events.lost(error));
  model.on('close', (error?: Error) => events.lost(error ?? new Error('the broker closed the connection')));
  model.on('blocked', (reason) => block(reason));
  model.on('unblocked', () => block(null));
  return { model, blocked: () => blocked };
}

/** Opens the channel and declares everything; on trouble the connection is closed, so that nothing half-made stays. */
async function prepare<C extends Channel>(
  model: ChannelModel,
  events: LinkEvents,
  topologies: readonly Topology[],
  open: () => Promise<C>,
): Promise<C> {
  try {
    return await withDeadline(
      (async () => {
        const channel = await open();
        let why: Error | null = null;
        channel.on('error', (error) => {
          why = asError(error);
          events.lost(why);
        });
        channel.on('close', () => events.lost(why ?? new Error('the channel closed')));
        for (const topology of topologies) await declare(channel, topology);
        return channel;
      })(),
      SETUP_MS,
      'declare the queues',
    );
  } catch (error) {
    void hangUp(model, 0);
    throw error;
  }
}

/** On a live session whatever is sent next on the same channel finds the declaration made. */
function declareOn<S extends { readonly channel: Channel }>(link: Link<S>, topology: Topology): void {
  const { session } = link;
  if (session === null) return;
  declare(session.channel, topology).catch((error: unknown) => link.fail(session, asError(error)));
}

/** Pipelined: amqplib queues the calls, the broker answers in order. */
async function declare(channel: Channel, topology: Topology): Promise<void> {
  const calls = [
    ...topology.exchanges.map(({ name, type }) => channel.assertExchange(name, type, { durable: true })),
    ...topology.queues.map(({ name, args }) => channel.assertQueue(name, { durable: true, arguments: { ...args } })),
    ...topology.bindings.map(({ source, destination, to, key }) =>
      to === 'queue' ? channel.bindQueue(destination, source, key) : channel.bindExchange(destination, source, key),
    ),
  ];
  await Promise.all(calls);
}

/** Closes politely, then for sure. Never throws. */
async function hangUp(model: ChannelModel, politeMs: number): Promise<void> {
  await withDeadline(model.close(), politeMs, 'close').catch(() => undefined);
  innerOf(model).stream.destroy();
}

function innerOf(model: ChannelModel): Inner {
  return model.connection as unknown as Inner;
}

/** Loads the driver, which takes a while: a process that will need it does so while it waits for something else. */
export function loadAmqplib(): Promise<typeof import('amqplib')> {
  return import('amqplib');
}
