import { show } from '../bson/show.js';
import { Int32, Timestamp } from 'bson';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { arithmetic, integerOf, isWhole } from '../bson/number.js';
import { compare, equal, keyOf } from '../bson/order.js';
import { isDoc, isNumeric, typeName, type Doc, type Value } from '../bson/value.js';
import { elementMatcher } from '../query/match.js';
import { pushOperator } from './push.js';

/** The new value of a field: undefined removes it. `current` is undefined when there is none. */
export type Change = (current: Value | undefined) => Value | undefined;

export interface UpdateOperator {
  /** False: a missing field stays missing, so its parents are not made. */
  readonly creates: boolean;
  readonly compile: (path: string, operand: Value) => Change;
}

function needArray(name: string, path: string, current: Value): Value[] {
  if (Array.isArray(current)) return current;
  throw new ServerError(
    2,
    `Cannot apply ${name} to a non-array field. Field named '${path}' has non-array type ${typeName(current)}`,
  );
}

function calculation(name: '$inc' | '$mul'): UpdateOperator {
  return {
    creates: true,
    compile: (path, operand) => {
      if (!isNumeric(operand))
        throw new ServerError(
          14,
          `Cannot ${name === '$inc' ? 'increment' : 'multiply'} with non-numeric argument: {${path}: ${typeName(operand)}}`,
        );
      return (current) => {
        if (current === undefined) return name === '$inc' ? operand : arithmetic('*', operand, new Int32(0));
        if (!isNumeric(current)) {
          throw new ServerError(
            14,
            `Cannot apply ${name} to a value of non-numeric type. The field '${path}' is of type ${typeName(current)}`,
          );
        }
        const result = arithmetic(name === '$inc' ? '+' : '*', current, operand);
        if (result === null)
          throw new ServerError(
            2,
            `Failed to apply ${name} operations to current value (${String(current)}) of '${path}': the result overflows a 64-bit integer`,
          );
        return result;
      };
    },
  };
}

function extreme(sign: 1 | -1): UpdateOperator {
  return {
    creates: true,
    compile: (_path, operand) => (current) =>
      current === undefined || compare(operand, current) * sign > 0 ? operand : current,
  };
}

const currentDate: UpdateOperator = {
  creates: true,
  compile: (_path, operand) => {
    const type = isDoc(operand) ? operand.get('$type') : operand;
    if (type === 'timestamp') return () => new Timestamp({ t: Math.floor(Date.now() / 1000), i: 1 });
    if (type === 'date' || typeof type === 'boolean') return () => new Date();
    throw new ServerError(
      2,
      "The '$type' string field is required to be 'date' or 'timestamp': {$currentDate: {field: {$type: 'date'}}}",
    );
  },
};

const addToSet: UpdateOperator = {
  creates: true,
  compile: (path, operand) => {
    const each = isDoc(operand) && operand.has('$each') ? operand.get('$each') : undefined;
    if (each !== undefined && isDoc(operand)) {
      if (!Array.isArray(each))
        throw new ServerError(
          14,
          `The argument to $each in $addToSet must be an array but it was of type: ${typeName(each)}`,
        );
      const other = [...operand.keys()].find((name) => name !== '$each');
      if (other !== undefined) throw new ServerError(2, `Found unexpected fields after $each in $addToSet: ${other}`);
    }
    const added = Array.isArray(each) ? each : [operand];
    return (current) => {
      const result = current === undefined ? [] : [...needArray('$addToSet', path, current)];
      const known = new Set(result.map(keyOf));
      for (const item of added) {
        if (known.has(keyOf(item))) continue;
        known.add(keyOf(item));
        result.push(item);
      }
      return result;
    };
  },
};

const pop: UpdateOperator = {
  creates: false,
  compile: (path, operand) => {
    const way = isNumeric(operand) ? arithmetic('*', operand, 1) : null;
    if (way !== 1 && way !== -1) throw new ServerError(9, `$pop expects 1 or -1, found: ${show(operand)}`);
    return (current) => {
      if (current === undefined) return undefined;
      if (!Array.isArray(current))
        throw new ServerError(14, `Path '${path}' contains an element of non-array type '${typeName(current)}'`);
      return way === 1 ? current.slice(0, -1) : current.slice(1);
    };
  },
};

const pull: UpdateOperator = {
  creates: false,
  compile: (path, operand) => {
    const matches = elementMatcher(operand);
    return (current) =>
      current === undefined ? undefined : needArray('$pull', path, current).filter((item) => !matches(item));
  },
};

const pullAll: UpdateOperator = {
  creates: false,
  compile: (path, operand) => {
    if (!Array.isArray(operand))
      throw new ServerError(2, `$pullAll requires an array argument but was given a ${typeName(operand)}`);
    return (current) =>
      current === undefined
        ? undefined
        : needArray('$pullAll', path, current).filter((item) => !operand.some((gone) => equal(gone, item)));
  },
};

const bit: UpdateOperator = {
  creates: true,
  compile: (path, operand) => {
    if (!isDoc(operand) || operand.size === 0)
      throw new ServerError(
        2,
        `The $bit modifier is not compatible with a ${typeName(operand)}. You must pass in an embedded document: {$bit: {field: {and/or/xor: #}}`,
      );
    return (current) =>
      [...operand].reduce<Value>((value, [name, mask]) => applyBit(path, value, name, mask), current ?? new Int32(0));
  },
};

function applyBit(path: string, value: Value, name: string, mask: Value): Value {
  if (!isWholeValue(mask))
    throw new ServerError(
      2,
      `The $bit modifier field must be an Integer(32/64 bit); a '${typeName(mask)}' is not supported here`,
    );
  if (!isWholeValue(value))
    throw new ServerError(
      2,
      `Cannot apply $bit to a value of non-integral type. The field '${path}' has non-integer type ${typeName(value)}`,
    );
  const [left, right] = [integerOf(value), integerOf(mask)];
  const results: Readonly<Record<string, bigint>> = { and: left & right, or: left | right, xor: left ^ right };
  const result = results[name];
  if (result === undefined)
    throw new ServerError(2, `The $bit modifier only supports 'and', 'or', and 'xor', not '${name}'`);
  return typeof value === 'bigint' || typeof mask === 'bigint' ? BigInt.asIntN(64, result) : new Int32(Number(result));
}

function isWholeValue(value: Value): value is Int32 | bigint {
  return isNumeric(value) && isWhole(value);
}

const set: UpdateOperator = { creates: true, compile: (_path, operand) => () => operand };

const OPERATORS: ReadonlyMap<string, UpdateOperator> = new Map<string, UpdateOperator>([
  ['$set', set],
  ['$setOnInsert', set],
  ['$unset', { creates: false, compile: () => () => undefined }],
  ['$inc', calculation('$inc')],
  ['$mul', calculation('$mul')],
  ['$min', extreme(-1)],
  ['$max', extreme(1)],
  ['$currentDate', currentDate],
  ['$push', pushOperator],
  ['$addToSet', addToSet],
  ['$pop', pop],
  ['$pull', pull],
  ['$pullAll', pullAll],
  ['$bit', bit],
]);

/** @throws ServerError 9 for a modifier that does not exist */
export function updateOperator(name: string): UpdateOperator {
  const found = OPERATORS.get(name);
  if (found) return found;
  if (name === '$pushAll') throw notImplemented('The update operator $pushAll, which servers dropped long ago,');
  throw new ServerError(
    9,
    `Unknown modifier: ${name}. Expected a valid update modifier or pipeline-style update specified as an array`,
  );
}

/** Fills a timestamp of zero in a top-level field, as the server does on insert. */
export function stampZero(doc: Doc): void {
  for (const [name, value] of doc) {
    if (value instanceof Timestamp && value.t === 0 && value.i === 0 && name !== '_id') {
      doc.set(name, new Timestamp({ t: Math.floor(Date.now() / 1000), i: 1 }));
    }
  }
}
