import { BSONRegExp } from 'bson';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { isDoc, type Doc, type Value } from '../bson/value.js';
import { compileExpression, truthy, type Variables } from '../aggregate/expression.js';
import {
  bad,
  BIT_OPERATORS,
  bitsTest,
  comparisonTest,
  equalTest,
  inTest,
  isComparison,
  modTest,
  regexOperator,
  sizeTest,
  typeTest,
  type Test,
} from './operators.js';
import { splitPath, visitPath, type Path, type Trace } from './path.js';
import { regexTest } from './regex.js';

/** True when the document matches; a trace learns the array position for an update's `$`. */
export type Predicate = (doc: Doc, trace?: Trace) => boolean;

const REFUSED = new Set([
  '$where',
  '$text',
  '$near',
  '$nearSphere',
  '$geoWithin',
  '$geoIntersects',
  '$geoNear',
  '$within',
  '$jsonSchema',
  '$maxDistance',
  '$minDistance',
  '$sampleRate',
]);

/**
 * Compiles a query.
 * @throws ServerError 2 for a malformed or unknown operator, 238 for one that only a real server has.
 */
export function compileMatch(query: Doc, variables: Variables = new Map()): Predicate {
  const predicates: Predicate[] = [];
  for (const [name, condition] of query) {
    const predicate = name.startsWith('$')
      ? compileTop(name, condition, variables)
      : compileField(name, condition, variables);
    if (predicate) predicates.push(predicate);
  }
  const [only] = predicates;
  if (only === undefined) return () => true;
  if (predicates.length === 1) return only;
  return (doc, trace) => {
    for (const predicate of predicates) if (!predicate(doc, trace)) return false;
    return true;
  };
}

function compileTop(name: string, condition: Value, variables: Variables): Predicate | null {
  switch (name) {
    case '$and': {
      const all = branches(name, condition, variables);
      return (doc, trace) => all.every((predicate) => predicate(doc, trace));
    }
    case '$or': {
      const any = branches(name, condition, variables);
      return (doc, trace) => any.some((predicate) => predicate(doc, trace));
    }
    case '$nor': {
      const none = branches(name, condition, variables);
      return (doc) => !none.some((predicate) => predicate(doc));
    }
    case '$expr': {
      const expression = compileExpression(condition);
      return (doc) => truthy(expression(doc, variables));
    }
    case '$comment':
      return null;
    default:
      if (REFUSED.has(name)) throw notImplemented(`The query operator ${name}`);
      throw bad(
        `unknown top level operator: ${name}. If you have a field name that starts with a '$' symbol, consider using $getField or $setField.`,
      );
  }
}

function branches(name: string, condition: Value, variables: Variables): Predicate[] {
  if (!Array.isArray(condition)) throw bad(`${name} must be an array`);
  if (condition.length === 0) throw bad('$and/$or/$nor must be a nonempty array');
  return condition.map((branch) => {
    if (!isDoc(branch)) throw bad('$or/$and/$nor entries need to be full objects');
    return compileMatch(branch, variables);
  });
}

/** The document when its first field is an operator, null when the value is a literal. */
export function operatorsOf(value: Value): Doc | null {
  if (!isDoc(value)) return null;
  const [name] = value.keys();
  return name?.startsWith('$') === true && name !== '$ref' && name !== '$id' && name !== '$db' ? value : null;
}

function compileField(name: string, condition: Value, variables: Variables): Predicate {
  const path = splitPath(name);
  const operators = operatorsOf(condition);
  return operators ? compileOperators(path, operators, variables) : reach(path, literalTest(condition), true);
}

function literalTest(value: Value): Test {
  return value instanceof BSONRegExp ? regexTest(value) : equalTest(value);
}

function reach(path: Path, test: Test, expand: boolean): Predicate {
  const [name] = path;
  if (path.length === 1 && name !== undefined) {
    return (doc, trace) => {
      const value = doc.get(name);
      return Array.isArray(value) ? visitPath(doc, path, expand, test, trace) : test(value);
    };
  }
  return (doc, trace) => visitPath(doc, path, expand, test, trace);
}

function compileOperators(path: Path, operators: Doc, variables: Variables): Predicate {
  const predicates: Predicate[] = [];
  for (const [operator, operand] of operators) {
    if (operator === '$options') {
      if (!operators.has('$regex')) throw bad('$options needs a $regex');
      continue;
    }
    predicates.push(compileOperator(path, operator, operand, operators, variables));
  }
  return (doc, trace) => predicates.every((predicate) => predicate(doc, trace));
}

function compileOperator(path: Path, operator: string, operand: Value, siblings: Doc, variables: Variables): Predicate {
  if (isComparison(operator)) return reach(path, comparisonTest(operator, operand), true);
  const bits = BIT_OPERATORS.find((name) => name === operator);
  if (bits) return reach(path, bitsTest(bits, operand), true);
  switch (operator) {
    case '$eq':
      return reach(path, equalTest(operand), true);
    case '$ne':
      if (operand instanceof BSONRegExp) throw bad("Can't have regex as arg to $ne.");
      return negate(reach(path, equalTest(operand), true));
    case '$in':
      return reach(path, inTest(operand), true);
    case '$nin':
      return negate(reach(path, inTest(operand), true));
    case '$exists': {
      const present = reach(path, (value) => value !== undefined, false);
      return truthy(operand) ? present : negate(present);
    }
    case '$type':
      return reach(path, typeTest(operand), true);
    case '$mod':
      return reach(path, modTest(operand), true);
    case '$regex':
      return reach(path, regexOperator(operand, siblings.get('$options')), true);
    case '$size':
      return reach(path, sizeTest(operand), false);
    case '$all':
      return compileAll(path, operand, variables);
    case '$elemMatch':
      return reachElements(path, operand, variables);
    case '$not':
      return compileNot(path, operand, variables);
    case '$comment':
      return () => true;
    default:
      if (REFUSED.has(operator)) throw notImplemented(`The query operator ${operator}`);
      throw bad(`unknown operator: ${operator}`);
  }
}

function negate(predicate: Predicate): Predicate {
  return (doc) => !predicate(doc);
}

function compileNot(path: Path, operand: Value, variables: Variables): Predicate {
  if (operand instanceof BSONRegExp) return negate(reach(path, regexTest(operand), true));
  if (!isDoc(operand)) throw bad('$not needs a regex or a document');
  if (operand.size === 0) throw bad('$not cannot be empty');
  const [first = ''] = operand.keys();
  if (!first.startsWith('$')) throw bad(`unknown operator: ${first}`);
  return negate(compileOperators(path, operand, variables));
}

function compileAll(path: Path, operand: Value, variables: Variables): Predicate {
  if (!Array.isArray(operand)) throw bad('$all needs an array');
  const parts = operand.map((item): Predicate => {
    if (isDoc(item) && item.has('$elemMatch')) return compileOperators(path, item, variables);
    if (operatorsOf(item)) throw bad('no $ expressions in $all');
    return reach(path, literalTest(item), true);
  });
  return (doc, trace) => parts.length > 0 && parts.every((part) => part(doc, trace));
}

function reachElements(path: Path, operand: Value, variables: Variables): Predicate {
  if (!isDoc(operand)) throw bad('$elemMatch needs an Object');
  const test = compileElement(operand, variables);
  return (doc, trace) => {
    let found = -1;
    const matched = visitPath(
      doc,
      path,
      false,
      (value) => {
        if (!Array.isArray(value)) return false;
        found = value.findIndex((element) => test(element));
        return found >= 0;
      },
      trace,
    );
    if (matched && trace && path.length > 0) trace.position = found;
    return matched;
  };
}

/** A condition on one array element: operators on the element itself, or a query on the document that it is. */
export function compileElement(condition: Doc, variables: Variables = new Map()): (value: Value) => boolean {
  const [first] = condition.keys();
  if (operatorsOf(condition) && first !== '$and' && first !== '$or' && first !== '$nor' && first !== '$expr') {
    const holder = compileOperators(['v'], condition, variables);
    // Wrapped so that an element that is itself an array is not looked into.
    return (value) => holder(new Map<string, Value>([['v', value]]));
  }
  const query = compileMatch(condition, variables);
  return (value) => {
    if (isDoc(value)) return query(value);
    return Array.isArray(value) && query(new Map(value.map((item, index) => [String(index), item])));
  };
}

/** For `$pull` and arrayFilters: a literal equals, operators and queries match. */
export function elementMatcher(condition: Value): (value: Value) => boolean {
  if (isDoc(condition)) return compileElement(condition);
  return literalTest(condition);
}

export function requireDoc(value: Value | undefined, what: string): Doc {
  if (isDoc(value)) return value;
  throw new ServerError(14, `${what} must be an object`);
}
