import { ServerError } from '../../bson/server-error.js';
import { isDoc, type Value } from '../../bson/value.js';
import { truthy, type Expression, type Form } from '../expression.js';
import { isNullish, named } from './arguments.js';

function listOperand(operand: Value): readonly Value[] {
  return Array.isArray(operand) ? operand : [operand];
}

const cond: Form = (operand, compile) => {
  const parts = isDoc(operand)
    ? (() => {
        const given = named('$cond', operand, ['if', 'then', 'else']);
        return ['if', 'then', 'else'].map((name) => given.get(name) ?? null);
      })()
    : listOperand(operand);
  const [test, yes, no] = parts.map(compile);
  if (parts.length !== 3 || !test || !yes || !no) {
    throw new ServerError(16020, `Expression $cond takes exactly 3 arguments. ${parts.length} were passed in.`);
  }
  return (doc, variables) => (truthy(test(doc, variables)) ? yes(doc, variables) : no(doc, variables));
};

const ifNull: Form = (operand, compile) => {
  const parts = listOperand(operand).map(compile);
  if (parts.length < 2) throw new ServerError(1257300, '$ifNull needs at least two arguments');
  return (doc, variables) => {
    let value;
    for (const part of parts) {
      value = part(doc, variables);
      if (!isNullish(value)) return value;
    }
    return value;
  };
};

const switchForm: Form = (operand, compile) => {
  const given = named('$switch', operand, ['branches'], ['default']);
  const listed = given.get('branches');
  if (!Array.isArray(listed) || listed.length === 0)
    throw new ServerError(40068, '$switch requires at least one branch.');
  const branches = listed.map((branch) => {
    const parts = named('$switch', branch, ['case', 'then']);
    return [compile(parts.get('case') ?? null), compile(parts.get('then') ?? null)] as const;
  });
  const fallback = given.has('default') ? compile(given.get('default') ?? null) : null;
  return (doc, variables) => {
    for (const [test, then] of branches) if (truthy(test(doc, variables))) return then(doc, variables);
    if (fallback) return fallback(doc, variables);
    throw new ServerError(
      40066,
      '$switch could not find a matching branch for an input, and no default was specified.',
    );
  };
};

function logical(combine: (parts: readonly Expression[]) => Expression): Form {
  return (operand, compile) => combine(listOperand(operand).map(compile));
}

export const conditionalForms: Readonly<Record<string, Form>> = {
  $cond: cond,
  $ifNull: ifNull,
  $switch: switchForm,
  $literal: (operand) => () => operand,
  $expr: (operand, compile) => compile(operand),
  $and: logical((parts) => (doc, variables) => parts.every((part) => truthy(part(doc, variables)))),
  $or: logical((parts) => (doc, variables) => parts.some((part) => truthy(part(doc, variables)))),
  $not: (operand, compile) => {
    const parts = listOperand(operand).map(compile);
    const [only] = parts;
    if (parts.length !== 1 || !only)
      throw new ServerError(16020, `Expression $not takes exactly 1 arguments. ${parts.length} were passed in.`);
    return (doc, variables) => !truthy(only(doc, variables));
  },
};
