import { Binary, BSONRegExp, Decimal128, MaxKey, MinKey } from 'bson';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { integerOf, isWhole, toNumber, wholeNumber } from '../bson/number.js';
import { compare, equal, keyOf, rank, RANK } from '../bson/order.js';
import { isNumeric, TYPE_CODES, typeName, type TypeName, type Value } from '../bson/value.js';
import { compileRegex, regexTest } from './regex.js';

/** A test of one value that a path reached; undefined is a missing field. */
export type Test = (value: Value | undefined) => boolean;

export function bad(message: string): ServerError {
  return new ServerError(2, message);
}

export function equalTest(operand: Value): Test {
  if (operand === null) return (value) => value === null || value === undefined;
  if (typeof operand === 'string')
    return (value) => value === operand || (value !== undefined && equal(value, operand));
  return (value) => value !== undefined && equal(value, operand);
}

const COMPARISONS = {
  $gt: (order: number) => order > 0,
  $gte: (order: number) => order >= 0,
  $lt: (order: number) => order < 0,
  $lte: (order: number) => order <= 0,
} as const;
export type Comparison = keyof typeof COMPARISONS;

export function isComparison(operator: string): operator is Comparison {
  return operator in COMPARISONS;
}

/** Compares within the operand's own type, as the server does. */
export function comparisonTest(operator: Comparison, operand: Value): Test {
  if (operand instanceof BSONRegExp) throw bad(`Can't have RegEx as arg to predicate over field with ${operator}`);
  const accepts = COMPARISONS[operator];
  const own = rank(operand);
  if (operand instanceof MinKey || operand instanceof MaxKey) {
    return (value) => value !== undefined && accepts(compare(value, operand));
  }
  if (own === RANK.null) return operator === '$gte' || operator === '$lte' ? equalTest(null) : () => false;
  if (isNumeric(operand) && Number.isNaN(toNumber(operand))) {
    return operator === '$gte' || operator === '$lte' ? equalTest(operand) : () => false;
  }
  const isNumber = own === RANK.number;
  return (value) =>
    value !== undefined &&
    rank(value) === own &&
    !(isNumber && typeof value === 'number' && Number.isNaN(value)) &&
    accepts(compare(value, operand));
}

export function inTest(operand: Value): Test {
  if (!Array.isArray(operand)) throw bad('$in needs an array');
  const keys = new Set<string>();
  const regexes: Test[] = [];
  for (const item of operand) {
    if (item instanceof BSONRegExp) regexes.push(regexTest(item));
    else {
      if (item instanceof Map && [...item.keys()].some((name) => name.startsWith('$')))
        throw bad('cannot nest $ under $in');
      keys.add(keyOf(item));
    }
  }
  return (value) => keys.has(keyOf(value)) || regexes.some((test) => test(value));
}

export function typeTest(operand: Value): Test {
  const wanted = new Set<TypeName>();
  for (const item of Array.isArray(operand) ? operand : [operand]) {
    if (item === 'number') for (const name of ['int', 'long', 'double', 'decimal'] as const) wanted.add(name);
    else wanted.add(typeNamed(item));
  }
  if (wanted.size === 0) throw new ServerError(9, '$type must match at least one type');
  return (value) => value !== undefined && wanted.has(typeName(value));
}

function typeNamed(item: Value): TypeName {
  if (typeof item === 'string') {
    if (item in TYPE_CODES) return item as TypeName;
    throw bad(`Unknown type name alias: ${item}`);
  }
  const code = wholeNumber(item);
  const found = Object.entries(TYPE_CODES).find(([, number]) => number === code);
  if (!found) throw bad('type must be represented as a number or a string of a known type');
  return found[0] as TypeName;
}

export function modTest(operand: Value): Test {
  if (!Array.isArray(operand)) throw bad('malformed mod, needs to be an array');
  if (operand.length !== 2) throw bad(`malformed mod, ${operand.length < 2 ? 'not enough' : 'too many'} elements`);
  const [divisor, remainder] = operand.map((item) => (isNumeric(item) ? Math.trunc(toNumber(item)) : NaN));
  if (divisor === undefined || remainder === undefined || !Number.isFinite(divisor))
    throw bad('malformed mod, divisor not a number');
  if (!Number.isFinite(remainder)) throw bad('malformed mod, remainder not a number');
  if (divisor === 0) throw bad('divisor cannot be 0');
  return (value) => {
    if (typeof value === 'bigint') return value % BigInt(divisor) === BigInt(remainder);
    if (!isNumeric(value)) return false;
    const number = Math.trunc(toNumber(value));
    return Number.isFinite(number) && number % divisor === remainder;
  };
}

export function regexOperator(pattern: Value, options: Value | undefined): Test {
  if (options !== undefined && typeof options !== 'string') throw bad('$options has to be a string');
  if (pattern instanceof BSONRegExp) {
    if (options !== undefined && pattern.options !== '')
      throw new ServerError(51075, 'options set in both $regex and $options');
    return regexTest(options === undefined ? pattern : new BSONRegExp(pattern.pattern, options));
  }
  if (typeof pattern !== 'string') throw bad('$regex has to be a string');
  compileRegex(pattern, options ?? '');
  return regexTest(new BSONRegExp(pattern, options ?? ''));
}

export function sizeTest(operand: Value): Test {
  const size = wholeNumber(operand);
  if (size === undefined) throw bad('Failed to parse $size. Expected an integer');
  if (size < 0) throw bad('Failed to parse $size. Expected a non-negative number');
  return (value) => Array.isArray(value) && value.length === size;
}

export const BIT_OPERATORS = ['$bitsAllSet', '$bitsAllClear', '$bitsAnySet', '$bitsAnyClear'] as const;

export function bitsTest(operator: (typeof BIT_OPERATORS)[number], operand: Value): Test {
  const mask = maskOf(operand, operator);
  return (value) => {
    const bits = bitsOf(value);
    if (bits === null) return false;
    switch (operator) {
      case '$bitsAllSet':
        return (bits & mask) === mask;
      case '$bitsAllClear':
        return (bits & mask) === 0n;
      case '$bitsAnySet':
        return (bits & mask) !== 0n;
      case '$bitsAnyClear':
        return (bits & mask) !== mask;
    }
  };
}

function maskOf(operand: Value, operator: string): bigint {
  if (Array.isArray(operand)) {
    let mask = 0n;
    for (const item of operand) {
      const position = wholeNumber(item);
      if (position === undefined || position < 0) throw bad(`bit positions of ${operator} must be integers >= 0`);
      // Beyond the 64 bits of a number the sign bit repeats; beyond binaries there is nothing to test.
      if (position > 1 << 20) throw notImplemented(`${operator} with a bit position above 1048576`);
      mask |= 1n << BigInt(position);
    }
    return mask;
  }
  const bits = bitsOf(operand);
  if (bits === null) throw bad(`${operator} takes an Array, a number, or a BinData`);
  if (bits < 0n) throw new ServerError(9, `Expected a non-negative number in: ${operator}`);
  return bits;
}

function bitsOf(value: Value | undefined): bigint | null {
  if (value instanceof Binary) {
    let bits = 0n;
    for (let index = value.position - 1; index >= 0; index -= 1) bits = (bits << 8n) | BigInt(value.buffer[index] ?? 0);
    return bits;
  }
  if (!isNumeric(value) || value instanceof Decimal128) return null;
  if (isWhole(value)) return integerOf(value);
  return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? BigInt(value) : null;
}
