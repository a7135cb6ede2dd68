import { ServerError } from '../../bson/server-error.js';
import { toNumber, wholeNumber } from '../../bson/number.js';
import { isDoc, isNumeric, typeName, type Doc, type Numeric, type Value } from '../../bson/value.js';
import type { Operator } from '../expression.js';

export type Arg = Value | undefined;

/** An operator of fixed or variable arity. */
export function operator(least: number, most: number, apply: (...args: Arg[]) => Arg): Operator {
  return { arity: [least, most], apply: (args) => apply(...args) };
}

/** Null when any argument is null or missing, as most operators answer. */
export function strict(least: number, most: number, apply: (...args: Value[]) => Arg): Operator {
  return {
    arity: [least, most],
    apply: (args) => (args.some(isNullish) ? null : apply(...(args as readonly Value[]))),
  };
}

export function isNullish(value: Arg): value is null | undefined {
  return value === null || value === undefined;
}

export function nameOf(value: Arg): string {
  return value === undefined ? 'missing' : typeName(value);
}

export function numberArg(name: string, value: Arg, code = 28765): Numeric {
  if (isNumeric(value)) return value;
  throw new ServerError(code, `${name} only supports numeric types, not ${nameOf(value)}`);
}

export function textArg(name: string, value: Arg, code = 34473): string {
  if (typeof value === 'string') return value;
  throw new ServerError(code, `${name} requires a string argument, found: ${nameOf(value)}`);
}

export function arrayArg(name: string, value: Arg, code = 17124): Value[] {
  if (Array.isArray(value)) return value;
  throw new ServerError(code, `The argument to ${name} must be an array, but was of type: ${nameOf(value)}`);
}

export function wholeArg(name: string, value: Arg, code = 28691): number {
  const whole = wholeNumber(value);
  if (whole === undefined) {
    const shown = isNumeric(value) ? String(toNumber(value)) : nameOf(value);
    throw new ServerError(code, `${name} requires a value representable as a 32-bit integer, found: ${shown}`);
  }
  return whole;
}

/** Named arguments: every given name must be known, every required one given. */
export function named(
  name: string,
  operand: Value,
  required: readonly string[],
  optional: readonly string[] = [],
): Doc {
  if (!isDoc(operand))
    throw new ServerError(9, `${name} requires an object as an argument, found: ${typeName(operand)}`);
  for (const key of operand.keys()) {
    if (!required.includes(key) && !optional.includes(key))
      throw new ServerError(9, `Unrecognized argument to ${name}: ${key}`);
  }
  for (const key of required) if (!operand.has(key)) throw new ServerError(9, `Missing '${key}' parameter to ${name}`);
  return operand;
}
