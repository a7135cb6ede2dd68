import { Decimal128, Int32 } from 'bson';
import {
  calculate,
  compareExact,
  fromDecimal,
  fromDouble,
  toDecimal,
  type DecimalOperator,
  type Exact,
  type Special,
} from './decimal.js';
import { isNumeric, type Numeric, type Value } from './value.js';

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

export function fitsLong(value: bigint): boolean {
  return value >= LONG_MIN && value <= LONG_MAX;
}

/** As a JavaScript number; longs and decimals may lose precision. */
export function toNumber(value: Numeric): number {
  if (typeof value === 'number') return value;
  if (value instanceof Int32) return value.value;
  if (typeof value === 'bigint') return Number(value);
  return Number(value.toString());
}

/** The value as a whole number within the safe range, else undefined: for limits, sizes and indexes given as any numeric type. */
export function wholeNumber(value: Value | undefined): number | undefined {
  if (!isNumeric(value)) return undefined;
  const number = toNumber(value);
  return Number.isSafeInteger(number) ? number : undefined;
}

export function toExact(value: Numeric): Exact | Special {
  if (typeof value === 'number') return fromDouble(value);
  if (value instanceof Int32) return { coefficient: BigInt(value.value), exponent: 0 };
  if (typeof value === 'bigint') return { coefficient: value, exponent: 0 };
  return fromDecimal(value);
}

/** By value across the four types; NaN is below every number. */
export function compareNumbers(a: Numeric, b: Numeric): number {
  if (a instanceof Decimal128 || b instanceof Decimal128) return compareExactly(a, b);
  const left = a instanceof Int32 ? a.value : a;
  const right = b instanceof Int32 ? b.value : b;
  if (Number.isNaN(left)) return Number.isNaN(right) ? 0 : -1;
  if (Number.isNaN(right)) return 1;
  // JavaScript compares bigint with number by mathematical value.
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareExactly(a: Numeric, b: Numeric): number {
  const left = toExact(a);
  const right = toExact(b);
  if (typeof left !== 'string' && typeof right !== 'string') return compareExact(left, right);
  return compareNumbers(typeof left === 'string' ? Number(left) : 0, typeof right === 'string' ? Number(right) : 0);
}

/** Arithmetic with MongoDB's result types; `null` when a long overflows. */
export function arithmetic(operator: '+' | '-' | '*', a: Numeric, b: Numeric): Numeric | null {
  if (a instanceof Decimal128 || b instanceof Decimal128) return decimalArithmetic(operator, a, b);
  if (typeof a === 'number' || typeof b === 'number') {
    const left = toNumber(a);
    const right = toNumber(b);
    return operator === '+' ? left + right : operator === '-' ? left - right : left * right;
  }
  if (a instanceof Int32 && b instanceof Int32 && operator !== '*') {
    const result = operator === '+' ? a.value + b.value : a.value - b.value;
    return result === (result | 0) ? new Int32(result) : BigInt(result);
  }
  const left = integerOf(a);
  const right = integerOf(b);
  const result = operator === '+' ? left + right : operator === '-' ? left - right : left * right;
  if (!fitsLong(result)) return null;
  const both = a instanceof Int32 && b instanceof Int32;
  return both && result >= -2147483648n && result <= 2147483647n ? new Int32(Number(result)) : result;
}

export function decimalArithmetic(operator: DecimalOperator, a: Numeric, b: Numeric): Decimal128 {
  return toDecimal(calculate(operator, decimalView(a), decimalView(b)));
}

/** A double takes part in decimal arithmetic with its 15 significant digits, as on the server. */
export function decimalView(value: Numeric): Exact | Special {
  if (typeof value !== 'number' || !Number.isFinite(value)) return toExact(value);
  return fromDecimal(Decimal128.fromString(value.toPrecision(15)));
}

export function integerOf(value: Int32 | bigint): bigint {
  return typeof value === 'bigint' ? value : BigInt(value.value);
}

export function isWhole(value: Numeric): value is Int32 | bigint {
  return typeof value === 'bigint' || value instanceof Int32;
}
