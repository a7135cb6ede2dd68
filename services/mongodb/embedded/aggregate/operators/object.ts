import { ServerError } from '../../bson/server-error.js';
import { encode } from '../../bson/encode.js';
import { Binary } from 'bson';
import { int, isDoc, type Doc } from '../../bson/value.js';
import type { Form, Operator } from '../expression.js';
import { isNullish, named, nameOf, operator, strict, type Arg } from './arguments.js';

function merge(...args: Arg[]): Arg {
  const merged: Doc = new Map();
  const [only] = args;
  for (const arg of args.length === 1 && Array.isArray(only) ? only : args) {
    if (isNullish(arg)) continue;
    if (!isDoc(arg))
      throw new ServerError(40400, `$mergeObjects requires object inputs, but input is of type ${nameOf(arg)}`);
    for (const [name, value] of arg) merged.set(name, value);
  }
  return merged;
}

const getField: Form = (operand, compile, name) => {
  const long = isDoc(operand) && operand.has('field');
  const given = long ? named(name, operand, ['field'], ['input']) : null;
  const field = compile(given ? (given.get('field') ?? null) : operand);
  const input = given?.has('input') === true ? compile(given.get('input') ?? null) : null;
  return (doc, variables) => {
    const key = field(doc, variables);
    if (typeof key !== 'string')
      throw new ServerError(5654602, `$getField requires 'field' to evaluate to type String, but got ${nameOf(key)}`);
    const source = input ? input(doc, variables) : (variables.get('CURRENT') ?? doc);
    return isDoc(source) ? source.get(key) : isNullish(source) ? source : undefined;
  };
};

const setField: Form = (operand, compile, name) => {
  const given = named(name, operand, name === '$unsetField' ? ['field', 'input'] : ['field', 'input', 'value']);
  const field = given.get('field');
  if (typeof field !== 'string') throw new ServerError(4161106, `${name} requires 'field' to be a constant string`);
  const input = compile(given.get('input') ?? null);
  const value = given.has('value') ? compile(given.get('value') ?? null) : null;
  return (doc, variables) => {
    const source = input(doc, variables);
    if (isNullish(source)) return null;
    if (!isDoc(source)) throw new ServerError(4161105, `${name} requires 'input' to evaluate to type Object`);
    const copy = new Map(source);
    const computed = value?.(doc, variables);
    if (computed === undefined) copy.delete(field);
    else copy.set(field, computed);
    return copy;
  };
};

export const objectOperators: Readonly<Record<string, Operator>> = {
  $mergeObjects: operator(0, Infinity, merge),
  $bsonSize: strict(1, 1, (value) => {
    if (!isDoc(value)) throw new ServerError(31393, `$bsonSize requires a document input, found: ${nameOf(value)}`);
    return int(encode(value).length);
  }),
  $binarySize: strict(1, 1, (value) => {
    if (typeof value === 'string') return int(Buffer.byteLength(value));
    if (value instanceof Binary) return int(value.position);
    throw new ServerError(51276, `$binarySize requires a string or BinData argument, found: ${nameOf(value)}`);
  }),
};

export const objectForms: Readonly<Record<string, Form>> = {
  $getField: getField,
  $setField: setField,
  $unsetField: setField,
};
