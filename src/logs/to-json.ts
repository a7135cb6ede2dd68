import { isProxy } from 'node:util/types';
import type { Json } from '../model/record.js';
import { isSecretName, REDACTED, redactUri } from '../util/redact.js';

const MAX_DEPTH = 6;
const MAX_ENTRIES = 100;
const MAX_TEXT = 32 * 1024;

/**
 * Any value as JSON, never throwing: cycles, BigInt, getters that throw, proxies, Map, Set, Buffer and Error included. Deep,
 * long and large values are cut with a mark; values under secret names and passwords in URIs are hidden.
 */
export function toJson(value: unknown): Json {
  return convert(value, 0, []);
}

function convert(value: unknown, depth: number, above: readonly object[]): Json {
  switch (typeof value) {
    case 'string':
      return cut(redactText(value));
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'bigint':
      return value.toString();
    case 'undefined':
      return null;
    case 'symbol':
      return value.toString();
    case 'function':
      return `[function ${value.name}]`;
    case 'object':
      return value === null ? null : convertObject(value, depth, above);
  }
}

function convertObject(value: object, depth: number, above: readonly object[]): Json {
  try {
    if (above.includes(value)) return '[circular]';
    if (isProxy(value)) return '[proxy]';
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
    if (value instanceof RegExp || value instanceof URL) return cut(redactText(String(value)));
    if (ArrayBuffer.isView(value)) return `[${value.constructor.name} ${value.byteLength} bytes]`;
    if (depth >= MAX_DEPTH) return Array.isArray(value) ? '[array]' : '[object]';
    const inside = [...above, value];
    if (value instanceof Map) return convert(Object.fromEntries(value as Map<string, unknown>), depth, inside);
    if (value instanceof Set || Array.isArray(value))
      return convertList(Array.from(value as Iterable<unknown>), depth, inside);
    if (value instanceof Error) return convertError(value, depth, inside);
    if ('toJSON' in value && typeof value.toJSON === 'function') {
      return convert((value as { toJSON: () => unknown }).toJSON(), depth + 1, inside);
    }
    return convertEntries(value, Object.keys(value), depth, inside);
  } catch (error) {
    return `[unreadable: ${error instanceof Error ? error.message : typeof error}]`;
  }
}

function convertList(list: readonly unknown[], depth: number, inside: readonly object[]): Json {
  const items = list.slice(0, MAX_ENTRIES).map((item) => convert(item, depth + 1, inside));
  return list.length > MAX_ENTRIES ? [...items, `[${list.length - MAX_ENTRIES} more]`] : items;
}

function convertError(error: Error, depth: number, inside: readonly object[]): Json {
  const own = Object.keys(error).filter((key) => key !== 'stack' && key !== 'message');
  const more = error.cause === undefined || own.includes('cause') ? own : [...own, 'cause'];
  return {
    name: convert(error.name, depth, inside),
    message: convert(error.message, depth, inside),
    ...(convertEntries(error, more, depth, inside) as { [key: string]: Json }),
  };
}

function convertEntries(value: object, keys: readonly string[], depth: number, inside: readonly object[]): Json {
  const result: Record<string, Json> = {};
  for (const key of keys.slice(0, MAX_ENTRIES)) {
    let item: unknown;
    try {
      item = (value as Readonly<Record<string, unknown>>)[key];
    } catch {
      item = '[getter threw]';
    }
    if (item === undefined || typeof item === 'function') continue;
    // defineProperty semantics, so that a key named __proto__ stays a key.
    Object.defineProperty(result, key, {
      value: typeof item === 'string' && item !== '' && isSecretName(key) ? REDACTED : convert(item, depth + 1, inside),
      enumerable: true,
    });
  }
  if (keys.length > MAX_ENTRIES) result['…'] = `[${keys.length - MAX_ENTRIES} more]`;
  return result;
}

/** Hides passwords in URIs; text without one is returned as it is, at the cost of one search. */
export function redactText(text: string): string {
  return text.includes('://') ? redactUri(text) : text;
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… [${text.length - MAX_TEXT} more characters]` : text;
}
