import { int, type Value } from '../../bson/value.js';
import { compare } from '../../bson/order.js';
import { rank } from '../../bson/order.js';
import type { Operator } from '../expression.js';
import { operator, type Arg } from './arguments.js';

/** Unlike queries, expressions tell a missing value from null: it is below everything but MinKey. */
function order(a: Arg, b: Arg): number {
  if (a === undefined || b === undefined) {
    if (a === b) return 0;
    return a === undefined ? (rank(b) === 0 ? 1 : -1) : rank(a) === 0 ? -1 : 1;
  }
  return compare(a, b);
}

function comparing(test: (order: number) => Value): Operator {
  return operator(2, 2, (a, b) => test(order(a, b)));
}

export const comparisonOperators: Readonly<Record<string, Operator>> = {
  $eq: comparing((value) => value === 0),
  $ne: comparing((value) => value !== 0),
  $gt: comparing((value) => value > 0),
  $gte: comparing((value) => value >= 0),
  $lt: comparing((value) => value < 0),
  $lte: comparing((value) => value <= 0),
  $cmp: comparing((value) => int(Math.sign(value))),
};
