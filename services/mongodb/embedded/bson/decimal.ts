import { Decimal128 } from 'bson';

/** A finite decimal number: `coefficient * 10^exponent`. */
export interface Exact {
  readonly coefficient: bigint;
  readonly exponent: number;
}
export type Special = 'NaN' | 'Infinity' | '-Infinity';

const DIGITS = 34;

/** The exact value of a decimal. */
export function fromDecimal(value: Decimal128): Exact | Special {
  const text = value.toString();
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return text;
  const [mantissa = '0', exponent = '0'] = text.split('E');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return { coefficient: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}

/** The exact value of a double: every finite one has a finite decimal expansion. */
export function fromDouble(value: number): Exact | Special {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  let scaled = value;
  let halvings = 0;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    halvings += 1;
  }
  return { coefficient: BigInt(scaled) * 5n ** BigInt(halvings), exponent: -halvings };
}

export function toDecimal(value: Exact | Special): Decimal128 {
  if (typeof value === 'string') return Decimal128.fromString(value);
  return Decimal128.fromString(render(round(value)));
}

function render({ coefficient, exponent }: Exact): string {
  return `${coefficient}E${exponent >= 0 ? '+' : ''}${exponent}`;
}

/** Rounds half to even to the 34 digits of a decimal128. */
export function round(value: Exact): Exact {
  const digits = (value.coefficient < 0n ? -value.coefficient : value.coefficient).toString().length;
  if (digits <= DIGITS) return value;
  const drop = digits - DIGITS;
  return { coefficient: divideHalfEven(value.coefficient, 10n ** BigInt(drop)), exponent: value.exponent + drop };
}

export function divideHalfEven(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const rest = dividend % divisor;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  const size = divisor < 0n ? -divisor : divisor;
  if (twice < size || (twice === size && quotient % 2n === 0n)) return quotient;
  return quotient + (dividend < 0n === divisor < 0n ? 1n : -1n);
}

function align(a: Exact, b: Exact): readonly [bigint, bigint, number] {
  const exponent = Math.min(a.exponent, b.exponent);
  return [
    a.coefficient * 10n ** BigInt(a.exponent - exponent),
    b.coefficient * 10n ** BigInt(b.exponent - exponent),
    exponent,
  ];
}

export function compareExact(a: Exact, b: Exact): number {
  if (a.coefficient === 0n || b.coefficient === 0n || a.coefficient < 0n !== b.coefficient < 0n) {
    return sign(a.coefficient) - sign(b.coefficient);
  }
  // Far apart magnitudes need no alignment, which would build a number of thousands of digits.
  const size = magnitude(a) - magnitude(b);
  if (Math.abs(size) > 1) return Math.sign(size) * sign(a.coefficient);
  const [left, right] = align(a, b);
  return left < right ? -1 : left > right ? 1 : 0;
}

function magnitude(value: Exact): number {
  return value.coefficient.toString().length - (value.coefficient < 0n ? 1 : 0) + value.exponent;
}

function sign(value: bigint): number {
  return value < 0n ? -1 : value > 0n ? 1 : 0;
}

/** `1.50` and `1.5` are one value: this form is the same for both. */
export function normalised(value: Exact): Exact {
  let { coefficient, exponent } = value;
  if (coefficient === 0n) return { coefficient, exponent: 0 };
  while (coefficient % 10n === 0n) {
    coefficient /= 10n;
    exponent += 1;
  }
  return { coefficient, exponent };
}

export type DecimalOperator = '+' | '-' | '*' | '/' | '%';

export function calculate(operator: DecimalOperator, a: Exact | Special, b: Exact | Special): Exact | Special {
  if (typeof a === 'string' || typeof b === 'string') return special(operator, a, b);
  switch (operator) {
    case '*':
      return { coefficient: a.coefficient * b.coefficient, exponent: a.exponent + b.exponent };
    case '/':
      if (b.coefficient === 0n) return a.coefficient === 0n ? 'NaN' : a.coefficient < 0n ? '-Infinity' : 'Infinity';
      return divide(a, b);
    case '%': {
      if (b.coefficient === 0n) return 'NaN';
      const [left, right, exponent] = align(a, b);
      return { coefficient: left % right, exponent };
    }
    case '+':
    case '-': {
      const [left, right, exponent] = align(a, b);
      return { coefficient: operator === '+' ? left + right : left - right, exponent };
    }
  }
}

function divide(a: Exact, b: Exact): Exact {
  const places = BigInt(DIGITS + b.coefficient.toString().length);
  const scaled = divideHalfEven(a.coefficient * 10n ** places, b.coefficient);
  const quotient = { coefficient: scaled, exponent: a.exponent - b.exponent - Number(places) };
  const short = normalised(quotient);
  return round(short.exponent > 0 ? quotient : short);
}

function special(operator: DecimalOperator, a: Exact | Special, b: Exact | Special): Special | Exact {
  const left = typeof a === 'string' ? Number(a) : sign(a.coefficient);
  const right = typeof b === 'string' ? Number(b) : sign(b.coefficient);
  const result = { '+': left + right, '-': left - right, '*': left * right, '/': left / right, '%': NaN }[operator];
  return fromDouble(result);
}
