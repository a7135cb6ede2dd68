import { keyOf } from '../../bson/order.js';
import type { Value } from '../../bson/value.js';
import { truthy, type Operator } from '../expression.js';
import { arrayArg, operator, strict } from './arguments.js';

function keyed(values: readonly Value[]): Map<string, Value> {
  const set = new Map<string, Value>();
  for (const value of values) {
    const key = keyOf(value);
    if (!set.has(key)) set.set(key, value);
  }
  return set;
}

export const setOperators: Readonly<Record<string, Operator>> = {
  $setUnion: strict(0, Infinity, (...args) => [
    ...keyed(args.flatMap((arg) => arrayArg('$setUnion', arg, 17043))).values(),
  ]),
  $setIntersection: strict(0, Infinity, (...args) => {
    const [first = [], ...rest] = args.map((arg) => arrayArg('$setIntersection', arg, 17047));
    const others = rest.map(keyed);
    return [...keyed(first)].filter(([key]) => others.every((other) => other.has(key))).map(([, value]) => value);
  }),
  $setDifference: strict(2, 2, (a = null, b = null) => {
    const drop = keyed(arrayArg('$setDifference', b, 17049));
    return [...keyed(arrayArg('$setDifference', a, 17048))].filter(([key]) => !drop.has(key)).map(([, value]) => value);
  }),
  $setEquals: operator(2, Infinity, (...args) => {
    const [first = new Map<string, Value>(), ...rest] = args.map((arg) => keyed(arrayArg('$setEquals', arg, 17044)));
    return rest.every((other) => other.size === first.size && [...other.keys()].every((key) => first.has(key)));
  }),
  $setIsSubset: operator(2, 2, (a, b) => {
    const whole = keyed(arrayArg('$setIsSubset', b, 17042));
    return arrayArg('$setIsSubset', a, 17046).every((value) => whole.has(keyOf(value)));
  }),
  $anyElementTrue: operator(1, 1, (array) => arrayArg('$anyElementTrue', array, 17041).some(truthy)),
  $allElementsTrue: operator(1, 1, (array) => arrayArg('$allElementsTrue', array, 17040).every(truthy)),
};
