import { ServerError } from '../bson/server-error.js';
import { toNumber, wholeNumber } from '../bson/number.js';
import { compare } from '../bson/order.js';
import { isDoc, isNumeric, typeName, type Doc, type Value } from '../bson/value.js';
import { compileSort } from '../query/sort.js';
import type { UpdateOperator } from './operators.js';

const MODIFIERS = ['$each', '$position', '$slice', '$sort'];

function modifiersOf(path: string, operand: Value): Doc {
  if (!isDoc(operand) || !operand.has('$each')) return new Map<string, Value>([['$each', [operand]]]);
  const unknown = [...operand.keys()].find((name) => !MODIFIERS.includes(name));
  if (unknown !== undefined) throw new ServerError(2, `Unrecognized clause in $push: ${unknown}`);
  const each = operand.get('$each') ?? null;
  if (!Array.isArray(each))
    throw new ServerError(
      2,
      `The argument to $each in $push must be an array but it was of type: ${typeName(each)} (field '${path}')`,
    );
  return operand;
}

function wholeModifier(modifiers: Doc, name: string): number | undefined {
  if (!modifiers.has(name)) return undefined;
  const whole = wholeNumber(modifiers.get(name));
  if (whole === undefined) throw new ServerError(2, `The value for ${name} must be an integer value`);
  return whole;
}

function sorter(by: Value): (array: readonly Value[]) => Value[] {
  if (isDoc(by)) {
    const order = compileSort(by);
    return (array) => order.sorted(array, (item) => (isDoc(item) ? item : new Map<string, Value>()));
  }
  const way = isNumeric(by) ? toNumber(by) : 0;
  if (way !== 1 && way !== -1) throw new ServerError(2, 'The $sort element value must be either 1 or -1');
  return (array) => [...array].sort((a, b) => compare(a, b) * way);
}

/** `$push` with its modifiers, always applied in the order position, sort, slice. */
export const pushOperator: UpdateOperator = {
  creates: true,
  compile: (path, operand) => {
    const modifiers = modifiersOf(path, operand);
    const each = modifiers.get('$each');
    const added = Array.isArray(each) ? each : [];
    const position = wholeModifier(modifiers, '$position');
    const slice = wholeModifier(modifiers, '$slice');
    const sort = modifiers.has('$sort') ? sorter(modifiers.get('$sort') ?? null) : null;
    return (current) => {
      if (current !== undefined && !Array.isArray(current)) {
        throw new ServerError(
          2,
          `The field '${path}' must be an array but is of type ${typeName(current)} in document`,
        );
      }
      let result = current === undefined ? [] : [...current];
      if (position === undefined) for (const item of added) result.push(item);
      else result.splice(position, 0, ...added);
      if (sort) result = sort(result);
      if (slice === undefined) return result;
      return slice >= 0 ? result.slice(0, slice) : result.slice(slice);
    };
  },
};
