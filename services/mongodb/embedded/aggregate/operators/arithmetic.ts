import { Decimal128, Int32 } from 'bson';
import { divideHalfEven, toDecimal } from '../../bson/decimal.js';
import { ServerError } from '../../bson/server-error.js';
import { arithmetic, decimalArithmetic, integerOf, isWhole, toExact, toNumber } from '../../bson/number.js';
import { compare } from '../../bson/order.js';
import { isNumeric, type Numeric, type Value } from '../../bson/value.js';
import type { Operator } from '../expression.js';
import { isNullish, nameOf, numberArg, operator, strict, wholeArg, type Arg } from './arguments.js';

/** A sum or product that overflows a long goes on as a double, as in the server's expressions. */
export function combine(symbol: '+' | '-' | '*', a: Numeric, b: Numeric): Numeric {
  const result = arithmetic(symbol, a, b);
  if (result !== null) return result;
  const [left, right] = [toNumber(a), toNumber(b)];
  return symbol === '+' ? left + right : symbol === '-' ? left - right : left * right;
}

function add(...args: Arg[]): Arg {
  let sum: Numeric = new Int32(0);
  let date = false;
  for (const arg of args) {
    if (isNullish(arg)) return null;
    if (arg instanceof Date) {
      if (date) throw new ServerError(16612, 'only one date allowed in an $add expression');
      date = true;
      sum = combine('+', sum, BigInt(arg.getTime()));
    } else if (isNumeric(arg)) sum = combine('+', sum, arg);
    else throw new ServerError(14, `$add only supports numeric or date types, not ${nameOf(arg)}`);
  }
  return date ? new Date(toNumber(sum)) : sum;
}

function subtract(a: Value, b: Value): Value {
  if (a instanceof Date) {
    if (b instanceof Date) return BigInt(a.getTime() - b.getTime());
    if (isNumeric(b)) return new Date(a.getTime() - toNumber(b));
  }
  if (isNumeric(a) && isNumeric(b)) return combine('-', a, b);
  throw new ServerError(14, `can't $subtract ${nameOf(b)} from ${nameOf(a)}`);
}

function divide(a: Value, b: Value): Value {
  if (!isNumeric(a) || !isNumeric(b))
    throw new ServerError(14, `$divide only supports numeric types, not ${nameOf(a)} and ${nameOf(b)}`);
  if (toNumber(b) === 0) throw new ServerError(2, "can't $divide by zero");
  return a instanceof Decimal128 || b instanceof Decimal128 ? decimalArithmetic('/', a, b) : toNumber(a) / toNumber(b);
}

function modulo(a: Value, b: Value): Value {
  if (!isNumeric(a) || !isNumeric(b))
    throw new ServerError(16611, `$mod only supports numeric types, not ${nameOf(a)} and ${nameOf(b)}`);
  if (toNumber(b) === 0) throw new ServerError(16610, "can't $mod by zero");
  if (a instanceof Decimal128 || b instanceof Decimal128) return decimalArithmetic('%', a, b);
  if (isWhole(a) && isWhole(b)) {
    const rest = integerOf(a) % integerOf(b);
    return a instanceof Int32 && b instanceof Int32 ? new Int32(Number(rest)) : rest;
  }
  return toNumber(a) % toNumber(b);
}

/** Keeps the type of its argument: `whole` is for integers (null = unchanged). */
function rounding(name: string, float: (value: number) => number): Operator {
  return strict(1, 1, (value) => {
    const number = numberArg(name, value);
    if (isWhole(number)) return number;
    if (number instanceof Decimal128) {
      const exact = toExact(number);
      if (typeof exact === 'string' || exact.exponent >= 0) return number;
      const unit = 10n ** BigInt(-exact.exponent);
      const truncated = exact.coefficient / unit;
      const rest = exact.coefficient % unit;
      const step = float(Math.sign(Number(rest)) * 0.5 + 10) - 10;
      return toDecimal({ coefficient: truncated + BigInt(step), exponent: 0 });
    }
    return float(number);
  });
}

function atPlace(name: '$round' | '$trunc', value: Value, place: number): Value {
  const number = numberArg(name, value);
  if (place < -20 || place > 100)
    throw new ServerError(51083, `cannot apply ${name} with precision value ${place} value must be in [-20, 100]`);
  if (isWhole(number) && place >= 0) return number;
  const exact = toExact(number);
  if (typeof exact === 'string' || -exact.exponent <= place) return number;
  const unit = 10n ** BigInt(-exact.exponent - place);
  const coefficient = name === '$round' ? divideHalfEven(exact.coefficient, unit) : exact.coefficient / unit;
  if (number instanceof Decimal128) return toDecimal({ coefficient, exponent: -place });
  if (typeof number === 'number') return Number(`${coefficient}e${-place}`);
  const whole = coefficient * 10n ** BigInt(-place);
  return number instanceof Int32 && whole === BigInt(Number(whole) | 0) ? new Int32(Number(whole)) : whole;
}

function real(
  name: string,
  apply: (value: number) => number,
  valid: (value: number) => boolean = () => true,
  code = 28714,
): Operator {
  return strict(1, 1, (value) => {
    const number = numberArg(name, value);
    if (!valid(toNumber(number)))
      throw new ServerError(code, `${name}'s argument is out of range, but is ${toNumber(number)}`);
    const result = apply(toNumber(number));
    return number instanceof Decimal128 ? Decimal128.fromString(String(result)) : result;
  });
}

function power(a: Value, b: Value): Value {
  const base = numberArg('$pow', a);
  const exponent = numberArg('$pow', b);
  if (isWhole(base) && isWhole(exponent) && integerOf(exponent) >= 0n && integerOf(exponent) < 64n) {
    const result = integerOf(base) ** integerOf(exponent);
    if (base instanceof Int32 && exponent instanceof Int32 && result === BigInt(Number(result) | 0))
      return new Int32(Number(result));
    if (BigInt.asIntN(64, result) === result) return result;
  }
  if (toNumber(base) === 0 && toNumber(exponent) < 0)
    throw new ServerError(28764, '$pow cannot take a base of 0 and a negative exponent');
  return toNumber(base) ** toNumber(exponent);
}

/** The numbers of a list argument: one array, or the arguments themselves. */
function listOf(args: readonly Arg[]): readonly Arg[] {
  const [only] = args;
  return args.length === 1 && Array.isArray(only) ? only : args;
}

function extreme(sign: 1 | -1): Operator {
  return {
    arity: [1, Infinity],
    apply: (args) => {
      let best: Arg = null;
      for (const arg of listOf(args))
        if (!isNullish(arg) && (best === null || compare(arg, best) * sign > 0)) best = arg;
      return best;
    },
  };
}

export const arithmeticOperators: Readonly<Record<string, Operator>> = {
  $add: operator(0, Infinity, add),
  $subtract: strict(2, 2, subtract),
  $multiply: strict(0, Infinity, (...args) =>
    args.reduce<Numeric>((product, arg) => combine('*', product, numberArg('$multiply', arg, 14)), new Int32(1)),
  ),
  $divide: strict(2, 2, divide),
  $mod: strict(2, 2, modulo),
  $abs: strict(1, 1, (value) => {
    const number = numberArg('$abs', value);
    return toNumber(number) < 0 ? combine('-', new Int32(0), number) : number;
  }),
  $ceil: rounding('$ceil', Math.ceil),
  $floor: rounding('$floor', Math.floor),
  $round: strict(1, 2, (value, place = 0) =>
    atPlace('$round', value, place === 0 ? 0 : wholeArg('$round', place, 51082)),
  ),
  $trunc: strict(1, 2, (value, place = 0) =>
    atPlace('$trunc', value, place === 0 ? 0 : wholeArg('$trunc', place, 51082)),
  ),
  $sqrt: real('$sqrt', Math.sqrt, (value) => !(value < 0)),
  $exp: real('$exp', Math.exp),
  $ln: real('$ln', Math.log, (value) => !(value <= 0), 28766),
  $log10: real('$log10', Math.log10, (value) => !(value <= 0), 28761),
  $log: strict(
    2,
    2,
    (value, base) => Math.log(toNumber(numberArg('$log', value))) / Math.log(toNumber(numberArg('$log', base))),
  ),
  $pow: strict(2, 2, power),
  $sum: {
    arity: [0, Infinity],
    apply: (args) =>
      listOf(args).reduce<Numeric>((sum, arg) => (isNumeric(arg) ? combine('+', sum, arg) : sum), new Int32(0)),
  },
  $avg: {
    arity: [1, Infinity],
    apply: (args) => {
      const numbers = listOf(args).filter(isNumeric);
      if (numbers.length === 0) return null;
      return divide(
        numbers.reduce((sum, arg) => combine('+', sum, arg)),
        new Int32(numbers.length),
      );
    },
  },
  $min: extreme(-1),
  $max: extreme(1),
  $rand: operator(0, 1, () => Math.random()),
};
