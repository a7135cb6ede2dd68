import type { Route, Topology } from '../../ports/broker.js';

/** Levels of the delay ladder: 2^0 … 2^11 seconds, together 4095 s. */
export const LADDER_LEVELS = 12;
/** Longest delay that the ladder holds, ms. */
export const MAX_DELAY_MS = (2 ** LADDER_LEVELS - 1) * 1000;

/** The broker redelivers this often at most; memt's own crash cap acts long before. */
const DELIVERY_LIMIT = 100;
const DEAD_TTL_MS = 30 * 86_400_000;
const DEAD_MAX_LENGTH = 100_000;

/** Queue and namespace names: they become part of queue names and of routing keys, whose separator is the dot. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** `memt.v1.<namespace>.<queue>`: versioned, because the arguments of a queue can never change. */
export function queueName(namespace: string, queue: string): string {
  return `memt.v1.${namespace}.${queue}`;
}

export function deadQueueName(namespace: string, queue: string): string {
  return `${queueName(namespace, queue)}.dead`;
}

function levelName(namespace: string, level: number): string {
  return `memt.v1.${namespace}.delay.${String(level).padStart(2, '0')}`;
}

function deliverName(namespace: string): string {
  return `memt.v1.${namespace}.delay.deliver`;
}

const HOLD = {
  'x-queue-type': 'quorum',
  'x-overflow': 'reject-publish',
  'x-dead-letter-strategy': 'at-least-once',
} as const;

/**
 * Work and dead queues of a namespace, and the ladder that delays messages: one quorum queue per power of two, whose common
 * TTL expires in order (a TTL per message would only expire at the head of a queue).
 */
export function topologyOf(namespace: string, queues: readonly string[]): Topology {
  const levels = Array.from({ length: LADDER_LEVELS }, (_, level) => level);
  const below = (level: number): string => (level === 0 ? deliverName(namespace) : levelName(namespace, level - 1));
  return {
    exchanges: [
      { name: deliverName(namespace), type: 'topic' },
      ...levels.map((level) => ({ name: levelName(namespace, level), type: 'topic' as const })),
    ],
    queues: [
      ...queues.flatMap((queue): Topology['queues'][number][] => [
        {
          name: deadQueueName(namespace, queue),
          args: { 'x-queue-type': 'quorum', 'x-message-ttl': DEAD_TTL_MS, 'x-max-length': DEAD_MAX_LENGTH },
        },
        {
          name: queueName(namespace, queue),
          args: {
            ...HOLD,
            'x-delivery-limit': DELIVERY_LIMIT,
            'x-dead-letter-exchange': '',
            'x-dead-letter-routing-key': deadQueueName(namespace, queue),
          },
        },
      ]),
      ...levels.map((level) => ({
        name: levelName(namespace, level),
        args: { ...HOLD, 'x-message-ttl': 1000 * 2 ** level, 'x-dead-letter-exchange': below(level) },
      })),
    ],
    bindings: [
      ...queues.map((queue) => ({
        source: deliverName(namespace),
        destination: queueName(namespace, queue),
        to: 'queue' as const,
        key: `#.${queue}`,
      })),
      ...levels.flatMap((level) => {
        const skip = '*.'.repeat(LADDER_LEVELS - 1 - level);
        const source = levelName(namespace, level);
        return [
          { source, destination: source, to: 'queue' as const, key: `${skip}1.#` },
          { source, destination: below(level), to: 'exchange' as const, key: `${skip}0.#` },
        ];
      }),
    ],
  };
}

/** Where to publish so that the message reaches `queue` after `delayMs`: never early, at most a second late. */
export function routeTo(namespace: string, queue: string, delayMs: number): Route {
  const seconds = Math.ceil(Math.min(delayMs, MAX_DELAY_MS) / 1000);
  if (seconds <= 0) return { exchange: '', key: queueName(namespace, queue) };
  const bits = seconds.toString(2).padStart(LADDER_LEVELS, '0').split('').join('.');
  return { exchange: levelName(namespace, LADDER_LEVELS - 1), key: `${bits}.${queue}` };
}
