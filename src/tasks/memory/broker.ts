import type {
  Broker,
  BrokerHealth,
  ConsumeOptions,
  Delivery,
  OutgoingMessage,
  Route,
  Subscription,
  Topology,
} from '../../ports/broker.js';
import { BrokerUnavailable, Unroutable } from '../../ports/broker.js';

interface Stored {
  readonly message: OutgoingMessage;
  deliveries: number;
}
interface Consumer {
  readonly options: ConsumeOptions;
  readonly unsettled: Map<number, Stored>;
  active: boolean;
}

/** Queues that live and die with their process: for tests. Knows quorum queues' routing, delays and redelivery. */
export class MemoryBroker implements Broker {
  readonly #queues = new Map<string, Stored[]>();
  readonly #bindings = new Map<string, string>();
  readonly #consumers = new Set<Consumer>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #tag = 0;
  #down = false;

  declare(topology: Topology): void {
    for (const { name } of topology.queues) if (!this.#queues.has(name)) this.#queues.set(name, []);
    for (const { key, destination, to } of topology.bindings) {
      if (to === 'queue' && key.startsWith('#.')) this.#bindings.set(key.slice(2), destination);
    }
  }

  publish(route: Route, message: OutgoingMessage): Promise<void> {
    if (this.#down) return Promise.reject(new BrokerUnavailable('the memory broker is cut off'));
    if (route.exchange === '') {
      if (!this.#queues.has(route.key)) return Promise.reject(new Unroutable(`no queue ${route.key}`));
      this.#put(route.key, { message, deliveries: 0 });
      return Promise.resolve();
    }
    const words = route.key.split('.');
    const destination = this.#bindings.get(words.at(-1) ?? '');
    if (destination === undefined) return Promise.reject(new Unroutable(`no binding for ${route.key}`));
    const seconds = Number.parseInt(words.slice(0, -1).join(''), 2);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#put(destination, { message, deliveries: 0 });
    }, seconds * 1000);
    this.#timers.add(timer);
    return Promise.resolve();
  }

  consume(options: ConsumeOptions): Subscription {
    const consumer: Consumer = { options, unsettled: new Map(), active: true };
    this.#consumers.add(consumer);
    const { queue } = options;
    const isDown = (): boolean => this.#down;
    const depthOf = (): number => this.#queues.get(queue)?.length ?? 0;
    this.#pump(queue);
    return {
      get consuming() {
        return consumer.active && !isDown();
      },
      get depth() {
        return depthOf();
      },
      cancel: () => {
        consumer.active = false;
        return Promise.resolve();
      },
    };
  }

  health(): BrokerHealth {
    return {
      publishing: !this.#down,
      consuming: !this.#down,
      reason: this.#down ? 'the memory broker is cut off' : null,
    };
  }

  close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#lose();
    this.#consumers.clear();
    return Promise.resolve();
  }

  /** Cuts every connection: unsettled deliveries go back, publishes fail until `restore`. */
  cut(): void {
    this.#down = true;
    this.#lose();
  }

  restore(): void {
    this.#down = false;
    for (const queue of this.#queues.keys()) this.#pump(queue);
  }

  /** Bodies and headers of the messages that lie in a queue. */
  peek(queue: string): readonly OutgoingMessage[] {
    return (this.#queues.get(queue) ?? []).map((stored) => stored.message);
  }

  #lose(): void {
    for (const consumer of this.#consumers) {
      const returned = [...consumer.unsettled.values()];
      consumer.unsettled.clear();
      this.#queues.get(consumer.options.queue)?.unshift(...returned);
      consumer.options.onLost();
    }
  }

  #put(queue: string, stored: Stored): void {
    this.#queues.get(queue)?.push(stored);
    this.#pump(queue);
  }

  #pump(name: string): void {
    const queue = this.#queues.get(name);
    if (queue === undefined || this.#down) return;
    for (const consumer of this.#consumers) {
      while (
        consumer.active &&
        consumer.options.queue === name &&
        consumer.unsettled.size < consumer.options.prefetch &&
        queue.length > 0
      ) {
        const stored = queue.shift();
        if (stored) this.#deliver(consumer, stored);
      }
    }
  }

  #deliver(consumer: Consumer, stored: Stored): void {
    const tag = (this.#tag += 1);
    const { queue } = consumer.options;
    consumer.unsettled.set(tag, stored);
    const settle = (after: () => void) => (): boolean => {
      if (!consumer.unsettled.delete(tag)) return false;
      after();
      this.#pump(queue);
      return true;
    };
    const { id, type, contentType, headers, body } = stored.message;
    const delivery: Delivery = {
      queue,
      message: { id, type, contentType, headers: { ...headers }, body },
      redelivered: stored.deliveries > 0,
      get alive() {
        return consumer.unsettled.has(tag);
      },
      ack: settle(() => undefined),
      requeue: settle(() => this.#queues.get(queue)?.unshift(stored)),
    };
    stored.deliveries += 1;
    // As over a wire: never inside the call that caused it.
    setImmediate(() => {
      if (delivery.alive) consumer.options.onDelivery(delivery);
    });
  }
}
