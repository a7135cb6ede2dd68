import { ServerError } from '../../bson/server-error.js';
import { equal } from '../../bson/order.js';
import { int, isDoc, type Doc, type Value } from '../../bson/value.js';
import type { Operator } from '../expression.js';
import { arrayArg, isNullish, nameOf, operator, strict, textArg, wholeArg } from './arguments.js';

const MAX_RANGE = 1_000_000;

function slice(array: Value, first: Value, count?: Value): Value {
  const values = arrayArg('$slice', array, 28724);
  const start = wholeArg('$slice', first, 28725);
  if (count === undefined) return start >= 0 ? values.slice(0, start) : values.slice(start);
  const size = wholeArg('$slice', count, 28726);
  if (size <= 0) throw new ServerError(28729, 'Third argument to $slice must be positive');
  const from = start >= 0 ? start : Math.max(0, values.length + start);
  return values.slice(from, from + size);
}

function range(first: Value, last: Value, step: Value = int(1)): Value {
  const [start, end, by] = [
    wholeArg('$range', first, 34443),
    wholeArg('$range', last, 34445),
    wholeArg('$range', step, 34447),
  ];
  if (by === 0) throw new ServerError(34449, '$range requires a non-zero step value');
  if ((end - start) / by > MAX_RANGE) throw new ServerError(292, `$range would build more than ${MAX_RANGE} values`);
  const values: Value[] = [];
  for (let at = start; by > 0 ? at < end : at > end; at += by) values.push(int(at));
  return values;
}

function fromPairs(array: Value): Value {
  const doc: Doc = new Map();
  for (const pair of arrayArg('$arrayToObject', array, 40386)) {
    const [key, value] = isDoc(pair) ? [pair.get('k'), pair.get('v')] : Array.isArray(pair) ? pair : [];
    if (value === undefined)
      throw new ServerError(40392, '$arrayToObject requires an array of [key, value] pairs or of { k, v } documents');
    doc.set(textArg('$arrayToObject', key, 40394), value);
  }
  return doc;
}

function at(name: string, array: Value, index: number): Value | undefined {
  const values = arrayArg(name, array, 28689);
  return values[index < 0 ? values.length + index : index];
}

export const arrayOperators: Readonly<Record<string, Operator>> = {
  $size: operator(1, 1, (array) => int(arrayArg('$size', array, 17124).length)),
  $isArray: operator(1, 1, (value) => Array.isArray(value)),
  $arrayElemAt: strict(2, 2, (array = null, index = null) =>
    at('$arrayElemAt', array, wholeArg('$arrayElemAt', index)),
  ),
  $first: strict(1, 1, (array = null) => at('$first', array, 0)),
  $last: strict(1, 1, (array = null) => at('$last', array, -1)),
  $slice: strict(2, 3, (array = null, first = null, count) => slice(array, first, count)),
  $concatArrays: strict(0, Infinity, (...arrays) => arrays.flatMap((array) => arrayArg('$concatArrays', array, 28664))),
  $reverseArray: strict(1, 1, (array) => [...arrayArg('$reverseArray', array, 34435)].reverse()),
  $in: operator(2, 2, (value, array) =>
    arrayArg('$in', array, 40081).some((item) => equal(item, value) && value !== undefined),
  ),
  $indexOfArray: operator(2, 4, (array, value, start = int(0), end) => {
    if (isNullish(array)) return null;
    const values = arrayArg('$indexOfArray', array, 40090);
    const last = end === undefined ? values.length : wholeArg('$indexOfArray', end, 40096);
    for (let index = wholeArg('$indexOfArray', start, 40096); index < Math.min(last, values.length); index += 1) {
      if (equal(values[index], value)) return int(index);
    }
    return int(-1);
  }),
  $range: strict(2, 3, (first = null, last = null, step) => range(first, last, step)),
  $arrayToObject: strict(1, 1, (array = null) => fromPairs(array)),
  $objectToArray: strict(1, 1, (object) => {
    if (!isDoc(object))
      throw new ServerError(40390, `$objectToArray requires a document input, found: ${nameOf(object)}`);
    return [...object].map(
      ([k, v]): Doc =>
        new Map<string, Value>([
          ['k', k],
          ['v', v],
        ]),
    );
  }),
};
