import { Binary, BSONRegExp, BSONSymbol, Code, Int32, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { normalised } from './decimal.js';
import { compareNumbers, toExact } from './number.js';
import { isNumeric, type Doc, type Numeric, type Value } from './value.js';

/** Place of a type in the order of all values; a missing value sorts with null. */
export const RANK = {
  min: 0,
  null: 5,
  number: 10,
  string: 15,
  object: 20,
  array: 25,
  binary: 30,
  id: 35,
  bool: 40,
  date: 45,
  timestamp: 47,
  regex: 50,
  code: 60,
  codeWithScope: 65,
  max: 127,
} as const;

export function rank(value: Value | undefined): number {
  if (value === undefined) return RANK.null;
  if (typeof value === 'string') return RANK.string;
  if (typeof value === 'number' || typeof value === 'bigint') return RANK.number;
  if (typeof value === 'boolean') return RANK.bool;
  return objectRank(value);
}

function objectRank(value: Exclude<Value, number | bigint | string | boolean>): number {
  if (value === null) return RANK.null;
  if (value instanceof Int32) return RANK.number;
  if (value instanceof ObjectId) return RANK.id;
  if (value instanceof Map) return RANK.object;
  if (Array.isArray(value)) return RANK.array;
  if (value instanceof Date) return RANK.date;
  if (isNumeric(value)) return RANK.number;
  if (value instanceof Binary) return RANK.binary;
  if (value instanceof Timestamp) return RANK.timestamp;
  if (value instanceof BSONRegExp) return RANK.regex;
  if (value instanceof BSONSymbol) return RANK.string;
  if (value instanceof Code) return value.scope === null ? RANK.code : RANK.codeWithScope;
  return value instanceof MinKey ? RANK.min : RANK.max;
}

/** The order of BSON values across all types: below zero, zero, above zero. */
export function compare(a: Value | undefined, b: Value | undefined): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  const left = rank(a);
  const right = rank(b);
  if (left !== right) return left - right;
  switch (left) {
    case RANK.number:
      return compareNumbers(a as Numeric, b as Numeric);
    case RANK.string:
      return compareText(textOf(a as string | BSONSymbol), textOf(b as string | BSONSymbol));
    case RANK.object:
      return compareDocs(a as Doc, b as Doc);
    case RANK.array:
      return compareArrays(a as Value[], b as Value[]);
    case RANK.id:
      return Buffer.compare((a as ObjectId).id, (b as ObjectId).id);
    case RANK.date:
      return (a as Date).getTime() - (b as Date).getTime();
    case RANK.bool:
      return Number(a) - Number(b);
    default:
      return compareRare(a as Value, b as Value);
  }
}

export function equal(a: Value | undefined, b: Value | undefined): boolean {
  return compare(a, b) === 0;
}

function textOf(value: string | BSONSymbol): string {
  return typeof value === 'string' ? value : value.value;
}

/** By UTF-8 bytes, which is the order of code points; JavaScript's own order differs for characters above U+FFFF. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left === right) continue;
    const leftSurrogate = left >= 0xd800 && left <= 0xdfff;
    const rightSurrogate = right >= 0xd800 && right <= 0xdfff;
    if (leftSurrogate !== rightSurrogate) return leftSurrogate ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}

/** Field by field: type, then name, then value. */
function compareDocs(a: Doc, b: Doc): number {
  const right = b.entries();
  for (const [name, value] of a) {
    const next = right.next();
    if (next.done === true) return 1;
    const [otherName, otherValue] = next.value;
    const order = rank(value) - rank(otherValue) || compareText(name, otherName) || compare(value, otherValue);
    if (order !== 0) return order;
  }
  return right.next().done === true ? 0 : -1;
}

function compareArrays(a: readonly Value[], b: readonly Value[]): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const order = compare(a[index], b[index]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareRare(a: Value, b: Value): number {
  if (a instanceof Binary && b instanceof Binary) {
    return a.position - b.position || a.sub_type - b.sub_type || Buffer.compare(bytesOf(a), bytesOf(b));
  }
  if (a instanceof Timestamp && b instanceof Timestamp) return a.t - b.t || a.i - b.i;
  if (a instanceof BSONRegExp && b instanceof BSONRegExp) {
    return compareText(a.pattern, b.pattern) || compareText(a.options, b.options);
  }
  if (a instanceof Code && b instanceof Code) {
    return compareText(a.code, b.code) || compare(a.scope as unknown as Doc | null, b.scope as unknown as Doc | null);
  }
  return 0;
}

function bytesOf(value: Binary): Uint8Array {
  return value.buffer.subarray(0, value.position);
}

/** Equal values, and only those, have the same key: for hash tables of groups, sets and ids. */
export function keyOf(value: Value | undefined): string {
  if (typeof value === 'string') return `s${value}`;
  if (value instanceof ObjectId) return `o${value.toHexString()}`;
  if (isNumeric(value)) return numberKey(value);
  if (value === undefined || value === null) return 'z';
  if (typeof value === 'boolean') return value ? 'bt' : 'bf';
  if (value instanceof Date) return `d${value.getTime()}`;
  if (value instanceof Map) {
    let key = '{';
    for (const [name, field] of value) key += `${JSON.stringify(name)}:${JSON.stringify(keyOf(field))},`;
    return key + '}';
  }
  if (Array.isArray(value)) return `[${value.map((item) => JSON.stringify(keyOf(item))).join(',')}]`;
  return rareKey(value);
}

function rareKey(value: Exclude<Value, number | bigint | string | boolean>): string {
  if (value instanceof Binary) return `x${value.sub_type}:${Buffer.from(bytesOf(value)).toString('latin1')}`;
  if (value instanceof BSONSymbol) return `s${value.value}`;
  if (value instanceof Timestamp) return `t${value.t}:${value.i}`;
  if (value instanceof BSONRegExp) return `r${JSON.stringify([value.pattern, value.options])}`;
  if (value instanceof Code) return `c${JSON.stringify([value.code, keyOf(value.scope as unknown as Doc | null)])}`;
  return value instanceof MinKey ? '<' : value instanceof MaxKey ? '>' : '?';
}

function numberKey(value: Numeric): string {
  if (value instanceof Int32) return `n${value.value}`;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return `n${value === 0 ? 0 : value}`;
  if (typeof value === 'bigint') return `n${value}`;
  const exact = toExact(value);
  if (typeof exact === 'string') return `n${exact}`;
  const { coefficient, exponent } = normalised(exact);
  if (exponent >= 0 && exponent < 400) return `n${coefficient * 10n ** BigInt(exponent)}`;
  return `n${coefficient}e${exponent}`;
}
