import { Binary, BSONRegExp, BSONSymbol, Code, Decimal128, Int32, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';

/** A document: fields in the order of the wire, integer-like names included (a plain object would move those to the front). */
export type Doc = Map<string, Value>;

/**
 * A BSON value that still knows its type: `number` is a double, `Int32` an int, `bigint` a long; the rest are bson's classes.
 * `undefined` stands for "no such field" and is never stored.
 */
export type Value =
  | number
  | bigint
  | string
  | boolean
  | null
  | Int32
  | Date
  | ObjectId
  | Binary
  | Decimal128
  | BSONRegExp
  | Timestamp
  | MinKey
  | MaxKey
  | Code
  | BSONSymbol
  | Doc
  | Value[];

export type Numeric = number | bigint | Int32 | Decimal128;

/** The type names of `$type`, with their numbers. */
export const TYPE_CODES = {
  double: 1,
  string: 2,
  object: 3,
  array: 4,
  binData: 5,
  undefined: 6,
  objectId: 7,
  bool: 8,
  date: 9,
  null: 10,
  regex: 11,
  dbPointer: 12,
  javascript: 13,
  symbol: 14,
  javascriptWithScope: 15,
  int: 16,
  timestamp: 17,
  long: 18,
  decimal: 19,
  minKey: -1,
  maxKey: 127,
} as const;
export type TypeName = keyof typeof TYPE_CODES;

export function isDoc(value: unknown): value is Doc {
  return value instanceof Map;
}

export function isNumeric(value: unknown): value is Numeric {
  return (
    typeof value === 'number' || typeof value === 'bigint' || value instanceof Int32 || value instanceof Decimal128
  );
}

export function typeName(value: Value): TypeName {
  if (typeof value === 'number') return 'double';
  if (typeof value === 'bigint') return 'long';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  return objectTypeName(value);
}

function objectTypeName(value: Exclude<Value, number | bigint | string | boolean>): TypeName {
  if (value === null) return 'null';
  if (value instanceof Map) return 'object';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Int32) return 'int';
  if (value instanceof ObjectId) return 'objectId';
  if (value instanceof Date) return 'date';
  if (value instanceof Timestamp) return 'timestamp';
  if (value instanceof Binary) return 'binData';
  if (value instanceof Decimal128) return 'decimal';
  if (value instanceof BSONRegExp) return 'regex';
  if (value instanceof Code) return value.scope === null ? 'javascript' : 'javascriptWithScope';
  if (value instanceof BSONSymbol) return 'symbol';
  return value instanceof MinKey ? 'minKey' : 'maxKey';
}

/** A document of entries; plain numbers become doubles. */
export function docOf(fields: Readonly<Record<string, Value | undefined>>): Doc {
  const doc: Doc = new Map();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) doc.set(name, value);
  return doc;
}

export function int(value: number): Int32 {
  return new Int32(value);
}

/** The smallest integer type that holds `value`. */
export function integer(value: number): Int32 | bigint {
  return value >= -2147483648 && value <= 2147483647 ? new Int32(value) : BigInt(value);
}

/** A copy whose containers may be changed; scalars are shared because nothing changes them. */
export function cloneDoc(doc: Doc): Doc {
  const copy: Doc = new Map();
  for (const [name, value] of doc) copy.set(name, cloneValue(value));
  return copy;
}

export function cloneValue(value: Value): Value {
  if (value instanceof Map) return cloneDoc(value);
  if (Array.isArray(value)) return value.map(cloneValue);
  return value;
}
