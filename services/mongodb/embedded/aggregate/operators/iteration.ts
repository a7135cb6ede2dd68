import { show } from '../../bson/show.js';
import { ServerError } from '../../bson/server-error.js';
import { isDoc, type Value } from '../../bson/value.js';
import { wholeNumber } from '../../bson/number.js';
import { compileSort } from '../../query/sort.js';
import { truthy, type Form, type Variables } from '../expression.js';
import { arrayArg, isNullish, named } from './arguments.js';

function withVariable(variables: Variables, name: string, value: Value | undefined): Map<string, Value | undefined> {
  return new Map(variables).set(name, value);
}

function nameArg(value: Value | undefined): string {
  if (value === undefined) return 'this';
  if (typeof value === 'string' && /^[a-z\u0080-\uffff]/.test(value)) return value;
  throw new ServerError(16867, `${show(value)} starts with an invalid character for a user variable name`);
}

const filter: Form = (operand, compile) => {
  const given = named('$filter', operand, ['input', 'cond'], ['as', 'limit']);
  const input = compile(given.get('input') ?? null);
  const cond = compile(given.get('cond') ?? null);
  const limit = given.has('limit') ? compile(given.get('limit') ?? null) : null;
  const name = nameArg(given.get('as'));
  return (doc, variables) => {
    const array = input(doc, variables);
    if (isNullish(array)) return null;
    const most = limit ? (wholeNumber(limit(doc, variables)) ?? Infinity) : Infinity;
    const kept: Value[] = [];
    for (const item of arrayArg('$filter', array, 28651)) {
      if (kept.length >= most) break;
      if (truthy(cond(doc, withVariable(variables, name, item)))) kept.push(item);
    }
    return kept;
  };
};

const map: Form = (operand, compile) => {
  const given = named('$map', operand, ['input', 'in'], ['as']);
  const input = compile(given.get('input') ?? null);
  const each = compile(given.get('in') ?? null);
  const name = nameArg(given.get('as'));
  return (doc, variables) => {
    const array = input(doc, variables);
    if (isNullish(array)) return null;
    return arrayArg('$map', array, 16883).map((item) => each(doc, withVariable(variables, name, item)) ?? null);
  };
};

const reduce: Form = (operand, compile) => {
  const given = named('$reduce', operand, ['input', 'initialValue', 'in']);
  const input = compile(given.get('input') ?? null);
  const initial = compile(given.get('initialValue') ?? null);
  const each = compile(given.get('in') ?? null);
  return (doc, variables) => {
    const array = input(doc, variables);
    if (isNullish(array)) return null;
    let value = initial(doc, variables);
    for (const item of arrayArg('$reduce', array, 40080)) {
      value = each(doc, withVariable(variables, 'this', item).set('value', value));
    }
    return value;
  };
};

const letForm: Form = (operand, compile) => {
  const given = named('$let', operand, ['vars', 'in']);
  const vars = given.get('vars');
  if (!isDoc(vars)) throw new ServerError(16874, 'invalid parameter: expected an object (vars)');
  const bound = [...vars].map(([name, value]) => [nameArg(name), compile(value)] as const);
  const body = compile(given.get('in') ?? null);
  return (doc, variables) => {
    const scope = new Map(variables);
    for (const [name, value] of bound) scope.set(name, value(doc, variables));
    return body(doc, scope);
  };
};

const sortArray: Form = (operand, compile) => {
  const given = named('$sortArray', operand, ['input', 'sortBy']);
  const input = compile(given.get('input') ?? null);
  const by = given.get('sortBy') ?? null;
  const wrapped = isDoc(by) ? new Map([...by].map(([name, way]) => [`v.${name}`, way])) : new Map([['v', by]]);
  const order = compileSort(wrapped);
  return (doc, variables) => {
    const array = input(doc, variables);
    if (isNullish(array)) return null;
    const wrappers = arrayArg('$sortArray', array, 2942504).map((item) => new Map([['v', item]]));
    return order.sorted(wrappers, (item) => item).map((item) => item.get('v') ?? null);
  };
};

const zip: Form = (operand, compile) => {
  const given = named('$zip', operand, ['inputs'], ['useLongestLength', 'defaults']);
  const inputs = compile(given.get('inputs') ?? null);
  const defaults = given.has('defaults') ? compile(given.get('defaults') ?? null) : null;
  const longest = truthy(given.get('useLongestLength'));
  return (doc, variables) => {
    const lists = arrayArg('$zip', inputs(doc, variables), 34461);
    if (lists.some(isNullish)) return null;
    const arrays = lists.map((list) => arrayArg('$zip', list, 34468));
    const fill = defaults ? arrayArg('$zip', defaults(doc, variables), 34462) : [];
    const sizes = arrays.map((array) => array.length);
    const size = arrays.length === 0 ? 0 : longest ? Math.max(...sizes) : Math.min(...sizes);
    return Array.from({ length: size }, (_item, row) =>
      arrays.map((array, column) => array[row] ?? fill[column] ?? null),
    );
  };
};

export const iterationForms: Readonly<Record<string, Form>> = {
  $filter: filter,
  $map: map,
  $reduce: reduce,
  $let: letForm,
  $sortArray: sortArray,
  $zip: zip,
};
