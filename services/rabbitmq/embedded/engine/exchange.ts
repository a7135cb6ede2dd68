import { integerOf, sameField, textOf, typeName, type Table } from '../codec/table.js';
import type { Queue } from './queue.js';
import { refused } from './trouble.js';

export const EXCHANGE_TYPES = ['direct', 'fanout', 'topic', 'headers'] as const;
export type ExchangeType = (typeof EXCHANGE_TYPES)[number];

export interface ExchangeIdentity {
  readonly name: string;
  readonly type: ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly args: Table;
}

export interface Binding {
  readonly destination: Queue | Exchange;
  readonly routingKey: string;
  readonly args: Table;
}

const CACHE_LIMIT = 2048;

/** Routes by its bindings. */
export class Exchange {
  /** Called by the owner for every binding made or removed. */
  readonly bindings: Binding[] = [];
  private byKey = new Map<string, readonly Binding[]>();
  published = 0;

  constructor(readonly identity: ExchangeIdentity) {}

  get name(): string {
    return this.identity.name;
  }

  find(destination: Queue | Exchange, routingKey: string, args: Table): Binding | undefined {
    return this.bindings.find(
      (one) =>
        one.destination === destination &&
        one.routingKey === routingKey &&
        sameField({ type: 'F', value: one.args }, { type: 'F', value: args }),
    );
  }

  add(binding: Binding): void {
    this.bindings.push(binding);
    this.byKey.clear();
  }

  /** Removes the bindings for which `gone` holds; true when there were any. */
  remove(gone: (binding: Binding) => boolean): boolean {
    const kept = this.bindings.filter((one) => !gone(one));
    if (kept.length === this.bindings.length) return false;
    this.bindings.splice(0, this.bindings.length, ...kept);
    this.byKey.clear();
    return true;
  }

  match(routingKey: string, headers: () => Table): readonly Binding[] {
    const { type } = this.identity;
    switch (type) {
      case 'fanout':
        return this.bindings;
      case 'headers': {
        const given = headers();
        return this.bindings.filter((one) => headersMatch(one.args, given));
      }
      case 'direct':
      case 'topic': {
        const cached = this.byKey.get(routingKey);
        if (cached) return cached;
        const words = wordsOf(routingKey);
        const found = this.bindings.filter((one) =>
          type === 'direct' ? one.routingKey === routingKey : topicMatches(wordsOf(one.routingKey), words),
        );
        if (this.byKey.size >= CACHE_LIMIT) this.byKey.clear();
        this.byKey.set(routingKey, found);
        return found;
      }
    }
  }
}

/** The empty key has no words, not an empty one. */
function wordsOf(key: string): string[] {
  return key === '' ? [] : key.split('.');
}

/** `*` is one word, `#` any number of them. */
export function topicMatches(pattern: readonly string[], words: readonly string[]): boolean {
  let at = 0;
  let word = 0;
  let hash = -1;
  let retry = 0;
  // Greedy with one point of return: the last `#` can always swallow more.
  while (word < words.length) {
    const part = pattern[at];
    if (part === '#') {
      hash = at;
      retry = word;
      at += 1;
    } else if (at < pattern.length && (part === '*' || part === words[word])) {
      at += 1;
      word += 1;
    } else if (hash >= 0) {
      retry += 1;
      word = retry;
      at = hash + 1;
    } else return false;
  }
  while (pattern[at] === '#') at += 1;
  return at === pattern.length;
}

const MATCH_MODES = ['all', 'any', 'all-with-x', 'any-with-x'];

export function assertMatchMode(args: Table): void {
  const field = args.get('x-match');
  if (!field) return;
  const mode = textOf(field);
  if (mode === undefined)
    throw refused(`Invalid x-match field type ${typeName(field)} (value ${integerOf(field) ?? ''}); expected longstr`);
  if (!MATCH_MODES.includes(mode))
    throw refused(`Invalid x-match field value <<"${mode}">>; expected all, any, all-with-x, or any-with-x`);
}

/** `x-match` all (default), any, all-with-x, any-with-x; a value of type void matches any value. */
export function headersMatch(wanted: Table, given: Table): boolean {
  const mode = textOf(wanted.get('x-match')) ?? 'all';
  const withX = mode.endsWith('-with-x');
  const pairs = [...wanted].filter(([name]) => name !== 'x-match' && (withX || !name.startsWith('x-')));
  const hit = ([name, field]: (typeof pairs)[number]): boolean => {
    const value = given.get(name);
    return value !== undefined && (field.type === 'V' || sameField(field, value));
  };
  return mode.startsWith('any') ? pairs.some(hit) : pairs.every(hit);
}
