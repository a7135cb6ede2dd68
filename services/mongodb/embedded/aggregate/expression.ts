import { notImplemented, ServerError } from '../bson/server-error.js';
import { toNumber } from '../bson/number.js';
import { isDoc, isNumeric, type Doc, type Value } from '../bson/value.js';
import { expressionValue, splitPath } from '../query/path.js';
import { arithmeticOperators } from './operators/arithmetic.js';
import { arrayOperators } from './operators/array.js';
import { conditionalForms } from './operators/conditional.js';
import { conversionForms, conversionOperators } from './operators/conversion.js';
import { dateForms } from './operators/date.js';
import { iterationForms } from './operators/iteration.js';
import { objectForms, objectOperators } from './operators/object.js';
import { setOperators } from './operators/set.js';
import { stringForms, stringOperators } from './operators/string.js';
import { comparisonOperators } from './operators/comparison.js';

/** Values of `$$name`. */
export type Variables = ReadonlyMap<string, Value | undefined>;
/** A compiled expression; undefined is "missing". */
export type Expression = (doc: Doc, variables: Variables) => Value | undefined;
/** An operator whose arguments are all evaluated first. */
export interface Operator {
  readonly arity: readonly [least: number, most: number];
  readonly apply: (args: readonly (Value | undefined)[]) => Value | undefined;
}
/** An operator that compiles its own operand: named arguments, or evaluation on demand. */
export type Form = (operand: Value, compile: (value: Value) => Expression, name: string) => Expression;

const operators: ReadonlyMap<string, Operator> = new Map(
  [
    arithmeticOperators,
    comparisonOperators,
    arrayOperators,
    conversionOperators,
    objectOperators,
    setOperators,
    stringOperators,
  ].flatMap((room) => Object.entries(room)),
);
const forms: ReadonlyMap<string, Form> = new Map(
  [conditionalForms, conversionForms, dateForms, iterationForms, objectForms, stringForms].flatMap((room) =>
    Object.entries(room),
  ),
);

/** Operators of a real server that this one refuses by name. */
const REFUSED = new Set(
  '$function $accumulator $dateFromParts $dateToParts $dateDiff $dateTrunc $dateFromString $isoWeek $isoWeekYear $isoDayOfWeek $week $meta $sin $cos $tan $asin $acos $atan $atan2 $asinh $acosh $atanh $sinh $cosh $tanh $degreesToRadians $radiansToDegrees $sampleRate $tsSecond $tsIncrement $bitAnd $bitOr $bitXor $bitNot $percentile $median $toHashedIndexKey $maxN $minN $firstN $lastN $stdDevPop $stdDevSamp'.split(
    ' ',
  ),
);

const MISSING: Expression = () => undefined;

/**
 * Compiles an aggregation expression.
 * @throws ServerError 168 for an operator that does not exist, 238 for one that only a real server has.
 */
export function compileExpression(value: Value): Expression {
  if (typeof value === 'string' && value.startsWith('$')) return compileReference(value);
  if (Array.isArray(value)) {
    const items = value.map(compileExpression);
    return (doc, variables) => items.map((item) => item(doc, variables) ?? null);
  }
  if (!isDoc(value)) return () => value;
  const [name] = value.keys();
  if (name?.startsWith('$') === true) {
    if (value.size !== 1)
      throw new ServerError(15983, 'An object representing an expression must have exactly one field');
    return compileOperator(name, value.get(name) ?? null);
  }
  return compileObject(value);
}

function compileObject(value: Doc): Expression {
  const fields = [...value].map(([name, field]) => {
    if (name.startsWith('$'))
      throw new ServerError(
        16410,
        `FieldPath field names may not start with '$'. Consider using $getField or $setField.`,
      );
    return [name, compileExpression(field)] as const;
  });
  return (doc, variables) => {
    const result: Doc = new Map();
    for (const [name, field] of fields) {
      const computed = field(doc, variables);
      if (computed !== undefined) result.set(name, computed);
    }
    return result;
  };
}

function compileReference(reference: string): Expression {
  if (!reference.startsWith('$$')) {
    const path = splitPath(reference.slice(1));
    if (path.includes(''))
      throw new ServerError(15998, `FieldPath field names may not be empty strings: '${reference}'`);
    const [name] = path;
    if (path.length === 1 && name !== undefined)
      return (doc, variables) => (variables.has('CURRENT') ? current(doc, variables, path) : doc.get(name));
    return (doc, variables) => current(doc, variables, path);
  }
  const [name = '', ...path] = splitPath(reference.slice(2));
  switch (name) {
    case 'REMOVE':
      return MISSING;
    case 'ROOT':
      return (doc, variables) => expressionValue(variables.get('ROOT') ?? doc, path);
    case 'CURRENT':
      return (doc, variables) => current(doc, variables, path);
    default:
      return (_doc, variables) => {
        if (variables.has(name)) return expressionValue(variables.get(name), path);
        if (name === 'NOW') return new Date();
        throw new ServerError(17276, `Use of undefined variable: ${name}`);
      };
  }
}

function current(doc: Doc, variables: Variables, path: readonly string[]): Value | undefined {
  return expressionValue(variables.get('CURRENT') ?? doc, path);
}

function compileOperator(name: string, operand: Value): Expression {
  const form = forms.get(name);
  if (form) return form(operand, compileExpression, name);
  const operator = operators.get(name);
  if (!operator) {
    if (REFUSED.has(name)) throw notImplemented(`The expression operator ${name}`);
    throw new ServerError(168, `Unrecognized expression '${name}'`);
  }
  const given = Array.isArray(operand) ? operand : [operand];
  const [least, most] = operator.arity;
  if (given.length < least || given.length > most) {
    const wanted =
      least === most ? `exactly ${least}` : `at least ${least}${Number.isFinite(most) ? ` and at most ${most}` : ''}`;
    throw new ServerError(16020, `Expression ${name} takes ${wanted} arguments. ${given.length} were passed in.`);
  }
  const args = given.map(compileExpression);
  const { apply } = operator;
  const [first, second] = args;
  if (args.length === 1 && first) return (doc, variables) => apply([first(doc, variables)]);
  if (args.length === 2 && first && second)
    return (doc, variables) => apply([first(doc, variables), second(doc, variables)]);
  return (doc, variables) => apply(args.map((arg) => arg(doc, variables)));
}

/** Truth of a value: everything but false, null, missing and zero. */
export function truthy(value: Value | undefined): boolean {
  if (value === undefined || value === null || value === false) return false;
  return !isNumeric(value) || toNumber(value) !== 0;
}
