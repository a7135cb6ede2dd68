import { Int32 } from 'bson';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { compare, keyOf } from '../bson/order.js';
import { isDoc, isNumeric, type Doc, type Numeric, type Value } from '../bson/value.js';
import { combine, arithmeticOperators } from './operators/arithmetic.js';
import { compileExpression, type Expression, type Variables } from './expression.js';

/** Gathers values of one group. */
interface Accumulator {
  add(value: Value | undefined): void;
  result(): Value | undefined;
}

const ACCUMULATORS: Readonly<Record<string, () => Accumulator>> = {
  $sum: () => {
    let sum: Numeric = new Int32(0);
    return {
      add: (value) => {
        if (isNumeric(value)) sum = combine('+', sum, value);
      },
      result: () => sum,
    };
  },
  $avg: () => {
    const numbers: Value[] = [];
    return {
      add: (value) => {
        if (isNumeric(value)) numbers.push(value);
      },
      result: () => arithmeticOperators['$avg']?.apply([numbers]) ?? null,
    };
  },
  $min: () => extreme(-1),
  $max: () => extreme(1),
  $first: () => {
    let first: Value | undefined;
    let seen = false;
    return {
      add: (value) => {
        if (!seen) first = value;
        seen = true;
      },
      result: () => first ?? null,
    };
  },
  $last: () => {
    let last: Value | undefined;
    return { add: (value) => (last = value), result: () => last ?? null };
  },
  $push: () => {
    const all: Value[] = [];
    return {
      add: (value) => {
        if (value !== undefined) all.push(value);
      },
      result: () => all,
    };
  },
  $addToSet: () => {
    const set = new Map<string, Value>();
    return {
      add: (value) => {
        if (value !== undefined) set.set(keyOf(value), value);
      },
      result: () => [...set.values()],
    };
  },
  $mergeObjects: () => {
    const merged: Doc = new Map();
    return {
      add: (value) => {
        if (isDoc(value)) for (const [name, field] of value) merged.set(name, field);
        else if (value !== undefined && value !== null)
          throw new ServerError(40400, '$mergeObjects requires object inputs');
      },
      result: () => merged,
    };
  },
  $count: () => {
    let count = 0;
    return {
      add: () => {
        count += 1;
      },
      result: () => new Int32(count),
    };
  },
};
const REFUSED = new Set([
  '$accumulator',
  '$top',
  '$topN',
  '$bottom',
  '$bottomN',
  '$firstN',
  '$lastN',
  '$maxN',
  '$minN',
  '$stdDevPop',
  '$stdDevSamp',
  '$percentile',
  '$median',
]);

function extreme(sign: 1 | -1): Accumulator {
  let best: Value | undefined;
  return {
    add: (value) => {
      if (value !== undefined && value !== null && (best === undefined || compare(value, best) * sign > 0))
        best = value;
    },
    result: () => best ?? null,
  };
}

interface GroupField {
  readonly name: string;
  readonly make: () => Accumulator;
  readonly value: Expression;
}

export function compileGroup(spec: Value, variables: Variables): (docs: readonly Doc[]) => Doc[] {
  if (!isDoc(spec)) throw new ServerError(15947, "a group's fields must be specified in an object");
  if (!spec.has('_id')) throw new ServerError(15955, 'a group specification must include an _id');
  const id = compileExpression(spec.get('_id') ?? null);
  const fields = [...spec].filter(([name]) => name !== '_id').map(([name, field]) => compileField(name, field));
  return (docs) => {
    const groups = new Map<string, { readonly id: Value; readonly gathered: readonly Accumulator[] }>();
    for (const doc of docs) {
      const value = id(doc, variables) ?? null;
      const key = keyOf(value);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { id: value, gathered: fields.map((field) => field.make()) }));
      for (const [index, field] of fields.entries()) group.gathered[index]?.add(field.value(doc, variables));
    }
    return [...groups.values()].map((group) => {
      const result: Doc = new Map([['_id', group.id]]);
      for (const [index, field] of fields.entries()) result.set(field.name, group.gathered[index]?.result() ?? null);
      return result;
    });
  };
}

function compileField(name: string, field: Value): GroupField {
  if (!isDoc(field)) throw new ServerError(40234, `The field '${name}' must be an accumulator object`);
  const [entry] = field;
  if (field.size !== 1 || !entry) throw new ServerError(40238, `The field '${name}' must specify one accumulator`);
  if (name.includes('.')) throw new ServerError(40235, `The field name '${name}' cannot contain '.'`);
  const [operator, operand] = entry;
  const make = ACCUMULATORS[operator];
  if (!make) {
    if (REFUSED.has(operator)) throw notImplemented(`The accumulator ${operator}`);
    throw new ServerError(15952, `unknown group operator '${operator}'`);
  }
  return { name, make, value: compileExpression(operand) };
}
