import { Decimal128, Int32, ObjectId } from 'bson';
import type { Value } from './value.js';

/** A value as a person reads it in an error message, in the shell's notation. */
export function show(value: Value | undefined): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Map) return `{ ${[...value].map(([name, field]) => `${name}: ${show(field)}`).join(', ')} }`;
  if (Array.isArray(value)) return `[ ${value.map(show).join(', ')} ]`;
  if (value instanceof Date) return `new Date(${value.getTime()})`;
  if (value instanceof ObjectId) return `ObjectId('${value.toHexString()}')`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Int32 || value instanceof Decimal128) return value.toString();
  return value._bsontype;
}
