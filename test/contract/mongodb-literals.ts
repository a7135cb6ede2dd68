import { Int32 } from 'bson';
import type { Value } from '../../services/mongodb/embedded/bson/value.js';

/** BSON of plain literals, for tables in tests: whole numbers are ints. */
export function bson(value: unknown): Value {
  if (typeof value === 'number') return Number.isInteger(value) ? new Int32(value) : value;
  if (Array.isArray(value)) return value.map(bson);
  if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return new Map(Object.entries(value).map(([name, field]) => [name, bson(field)]));
  }
  return value as Value;
}

/** Back to plain literals, types dropped. */
export function plain(value: unknown): unknown {
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([name, field]) => [name as string, plain(field)]));
  if (Array.isArray(value)) return value.map(plain);
  return value instanceof Int32 ? value.value : value;
}
