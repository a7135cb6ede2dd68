import { show } from '../../bson/show.js';
import { Binary, Decimal128, Int32, ObjectId, Timestamp } from 'bson';
import { ServerError } from '../../bson/server-error.js';
import { decimalView, fitsLong, toNumber } from '../../bson/number.js';
import { toDecimal } from '../../bson/decimal.js';
import { isNumeric, TYPE_CODES, typeName, type Value } from '../../bson/value.js';
import type { Form, Operator } from '../expression.js';
import { isNullish, named, nameOf, operator, type Arg } from './arguments.js';

type Target = 'double' | 'string' | 'objectId' | 'bool' | 'date' | 'int' | 'long' | 'decimal';
const TARGETS: readonly string[] = ['double', 'string', 'objectId', 'bool', 'date', 'int', 'long', 'decimal'];

function failed(value: Value, target: Target, why = ''): ServerError {
  return new ServerError(
    241,
    `Unsupported conversion from ${typeName(value)} to ${target} in $convert with no onError value${why ? `: ${why}` : ''}`,
  );
}

function toBigint(value: Value, target: 'int' | 'long'): bigint {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (value instanceof Int32) return BigInt(value.value);
  if (typeof value === 'bigint') return value;
  if (value instanceof Date && target === 'long') return BigInt(value.getTime());
  if (isNumeric(value)) {
    const number = Math.trunc(toNumber(value));
    if (!Number.isFinite(number)) throw failed(value, target, 'not a finite number');
    return BigInt(number);
  }
  if (typeof value === 'string' && /^[+-]?\d+$/.test(value)) return BigInt(value.replace(/^\+/, ''));
  throw failed(value, target, typeof value === 'string' ? `Failed to parse number '${value}'` : '');
}

function toDouble(value: Value): number {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (isNumeric(value)) return toNumber(value);
  if (value instanceof Date) return value.getTime();
  if (typeof value === 'string' && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(value)) return Number(value);
  throw failed(value, 'double', typeof value === 'string' ? `Failed to parse number '${value}'` : '');
}

function toText(value: Value): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'bigint' || typeof value === 'number') return String(value);
  if (value instanceof Int32 || value instanceof Decimal128) return value.toString();
  if (value instanceof ObjectId) return value.toHexString();
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Binary && value.sub_type === 4) return value.toUUID().toString();
  throw failed(value, 'string');
}

function toDate(value: Value): Date {
  if (value instanceof Date) return value;
  if (value instanceof ObjectId) return value.getTimestamp();
  if (value instanceof Timestamp) return new Date(value.t * 1000);
  if (isNumeric(value) && !(value instanceof Int32)) return new Date(Math.trunc(toNumber(value)));
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\d/.test(value)) {
    // A time without a zone is UTC on the server, local time in JavaScript.
    const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(value) || value.length <= 10 ? value : `${value}Z`;
    const date = new Date(zoned);
    if (!Number.isNaN(date.getTime())) return date;
  }
  throw failed(value, 'date');
}

function convert(value: Value, target: Target): Value {
  switch (target) {
    case 'bool':
      return typeof value === 'boolean' ? value : isNumeric(value) ? toNumber(value) !== 0 : true;
    case 'int': {
      const whole = toBigint(value, target);
      if (whole !== BigInt.asIntN(32, whole)) throw failed(value, target, 'Conversion would overflow target type');
      return new Int32(Number(whole));
    }
    case 'long': {
      const whole = toBigint(value, target);
      if (!fitsLong(whole)) throw failed(value, target, 'Conversion would overflow target type');
      return whole;
    }
    case 'double':
      return toDouble(value);
    case 'decimal':
      if (isNumeric(value)) return toDecimal(decimalView(value));
      return Decimal128.fromString(
        typeof value === 'string' && !Number.isNaN(Number(value)) ? value : String(toDouble(value)),
      );
    case 'string':
      return toText(value);
    case 'date':
      return toDate(value);
    case 'objectId':
      if (value instanceof ObjectId) return value;
      if (typeof value === 'string' && /^[0-9a-fA-F]{24}$/.test(value)) return new ObjectId(value);
      throw failed(value, target);
  }
}

function targetOf(to: Arg): Target {
  const name = isNumeric(to) ? Object.entries(TYPE_CODES).find(([, code]) => code === toNumber(to))?.[0] : to;
  if (typeof name === 'string' && TARGETS.includes(name)) return name as Target;
  throw new ServerError(2, `Unknown type name: ${show(name)}`);
}

const convertForm: Form = (operand, compile, name) => {
  const given = named(name, operand, ['input', 'to'], ['onError', 'onNull']);
  const part = (key: string) => (given.has(key) ? compile(given.get(key) ?? null) : null);
  const [input, to, onError, onNull] = [part('input'), part('to'), part('onError'), part('onNull')];
  return (doc, variables) => {
    const value = input?.(doc, variables);
    if (isNullish(value)) return onNull ? onNull(doc, variables) : null;
    const target = to?.(doc, variables);
    if (isNullish(target)) return null;
    try {
      return convert(value, targetOf(target));
    } catch (error) {
      if (onError && error instanceof ServerError && error.code === 241) return onError(doc, variables);
      throw error;
    }
  };
};

function to(target: Target): Operator {
  return operator(1, 1, (value) => (isNullish(value) ? null : convert(value, target)));
}

export const conversionForms: Readonly<Record<string, Form>> = { $convert: convertForm };

export const conversionOperators: Readonly<Record<string, Operator>> = {
  $type: operator(1, 1, nameOf),
  $isNumber: operator(1, 1, isNumeric),
  $toInt: to('int'),
  $toLong: to('long'),
  $toDouble: to('double'),
  $toDecimal: to('decimal'),
  $toString: to('string'),
  $toBool: to('bool'),
  $toDate: to('date'),
  $toObjectId: to('objectId'),
};
