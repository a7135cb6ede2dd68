import { ObjectId } from 'bson';
import { ServerError } from '../bson/server-error.js';
import { equal } from '../bson/order.js';
import { cloneDoc, cloneValue, isDoc, typeName, type Doc, type Value } from '../bson/value.js';
import { compilePipeline } from '../aggregate/single.js';
import type { Variables } from '../aggregate/expression.js';
import { compileMatch, operatorsOf } from '../query/match.js';
import { directValue, splitPath, type Path } from '../query/path.js';
import { stampZero, updateOperator, type Change } from './operators.js';
import { changeAt, expandPath, type Positions } from './place.js';

export interface UpdateContext {
  /** Array index that the query matched; null when none. */
  readonly matched: number | null;
  readonly inserting: boolean;
}

export interface Updater {
  readonly kind: 'operators' | 'replacement' | 'pipeline';
  /** True when applying it needs the array index that the query matched. */
  readonly positional: boolean;
  /** A changed copy. @throws ServerError, leaving `doc` as it was */
  apply(doc: Doc, context: UpdateContext): Doc;
}

interface Step {
  readonly operator: string;
  readonly path: Path;
  readonly creates: boolean;
  readonly change: Change;
}

/** Compiles an update: operators, a whole document, or a pipeline. */
export function compileUpdate(update: Value, arrayFilters: readonly Value[], variables: Variables): Updater {
  if (Array.isArray(update)) {
    if (arrayFilters.length > 0)
      throw new ServerError(9, 'arrayFilters may not be specified for pipeline-style updates');
    const run = compilePipeline(update, variables);
    return { kind: 'pipeline', positional: false, apply: (doc) => keepId(doc, run(doc)) };
  }
  if (!isDoc(update))
    throw new ServerError(9, `Update argument must be either an object or an array, not ${typeName(update)}`);
  if (operatorsOf(update)) return compileOperators(update, arrayFilters);
  const dollar = [...update.keys()].find((name) => name.startsWith('$'));
  if (dollar !== undefined) {
    throw new ServerError(
      52,
      `The dollar ($) prefixed field '${dollar}' in '${dollar}' is not allowed in the context of an update's replacement document. Consider using an aggregation pipeline with $replaceWith.`,
    );
  }
  if (arrayFilters.length > 0) throw new ServerError(9, 'arrayFilters may not be specified for a replacement');
  return {
    kind: 'replacement',
    positional: false,
    apply: (doc) => {
      const copy = cloneDoc(update);
      stampZero(copy);
      return keepId(doc, copy);
    },
  };
}

/** `after` with the `_id` of `before` in front. @throws ServerError 66 when it brings another one */
function keepId(before: Doc, after: Doc): Doc {
  const id = before.get('_id');
  const given = after.get('_id');
  if (id === undefined) return after;
  if (given !== undefined && !equal(given, id)) throw immutableId();
  const result: Doc = new Map([['_id', id]]);
  for (const [name, value] of after) if (name !== '_id') result.set(name, value);
  return result;
}

function immutableId(): ServerError {
  return new ServerError(66, "Performing an update on the path '_id' would modify the immutable field '_id'");
}

function compileOperators(update: Doc, arrayFilters: readonly Value[]): Updater {
  const steps: Step[] = [];
  for (const [operator, fields] of update) {
    if (operator !== '$rename') updateOperator(operator);
    if (!isDoc(fields)) {
      throw new ServerError(
        9,
        `Modifiers operate on fields but we found type ${typeName(fields)} instead. For example: {$mod: {<field>: ...}} not {${operator}: ...}`,
      );
    }
    for (const [name, operand] of fields) {
      if (operator === '$rename') steps.push(...renameSteps(name, operand));
      else {
        const { creates, compile } = updateOperator(operator);
        steps.push({ operator, path: checkedPath(name), creates, change: compile(name, operand) });
      }
    }
  }
  checkConflicts(steps);
  const filters = compileFilters(arrayFilters, steps);
  return {
    kind: 'operators',
    positional: steps.some((step) => step.path.includes('$')),
    apply: (doc, context) => applySteps(doc, steps, { matched: context.matched, filters }, context.inserting),
  };
}

function checkedPath(name: string): Path {
  const path = splitPath(name);
  if (path.includes(''))
    throw new ServerError(56, `The update path '${name}' contains an empty field name, which is not allowed.`);
  for (const [index, part] of path.entries()) {
    if (!part.startsWith('$') || part === '$ref' || part === '$id' || part === '$db') continue;
    if (index > 0 && (part === '$' || /^\$\[[a-zA-Z0-9]*\]$/.test(part))) continue;
    throw new ServerError(
      52,
      `The dollar ($) prefixed field '${part}' in '${name}' is not allowed in the context of an update's replacement document. Consider using an aggregation pipeline with $replaceWith.`,
    );
  }
  return path;
}

function renameSteps(from: string, to: Value): Step[] {
  if (typeof to !== 'string')
    throw new ServerError(2, `The 'to' field for $rename must be a string: ${from}: ${typeName(to)}`);
  const [source, target] = [checkedPath(from), checkedPath(to)];
  if ([...source, ...target].some((part) => part.startsWith('$')))
    throw new ServerError(2, `The source and target of $rename may not be dynamic: ${from}`);
  if (from === to) throw new ServerError(2, `The source and target field for $rename must differ: ${from}: "${to}"`);
  return [
    { operator: '$rename', path: source, creates: false, change: () => undefined },
    { operator: '$rename', path: target, creates: true, change: () => undefined },
  ];
}

function checkConflicts(steps: readonly Step[]): void {
  const seen = new Set<string>();
  const parents = new Set<string>();
  for (const { path } of steps) {
    const name = path.join('.');
    let prefix = '';
    for (const part of path) {
      prefix = prefix === '' ? part : `${prefix}.${part}`;
      if (seen.has(prefix))
        throw new ServerError(40, `Updating the path '${name}' would create a conflict at '${prefix}'`);
      if (prefix !== name) parents.add(prefix);
    }
    if (parents.has(name))
      throw new ServerError(40, `Updating the path '${name}' would create a conflict at '${name}'`);
    seen.add(name);
  }
}

function compileFilters(arrayFilters: readonly Value[], steps: readonly Step[]): Positions['filters'] {
  const filters = new Map<string, (element: Value) => boolean>();
  for (const filter of arrayFilters) {
    if (!isDoc(filter)) throw new ServerError(14, 'arrayFilters must be objects');
    const identifiers = new Set(identifiersOf(filter));
    const [identifier] = identifiers;
    if (identifier === undefined)
      throw new ServerError(9, 'Cannot use an expression without a top-level field name in arrayFilters');
    if (identifiers.size > 1)
      throw new ServerError(
        9,
        `Error parsing array filter :: caused by :: Expected a single top-level field name, found '${[...identifiers].join("' and '")}'`,
      );
    if (filters.has(identifier))
      throw new ServerError(9, `Found multiple array filters with the same top-level field name ${identifier}`);
    if (!steps.some((step) => step.path.includes(`$[${identifier}]`)))
      throw new ServerError(9, `The array filter for identifier '${identifier}' was not used in the update`);
    const matches = compileMatch(filter);
    filters.set(identifier, (element) => matches(new Map([[identifier, element]])));
  }
  return filters;
}

function identifiersOf(filter: Doc): string[] {
  return [...filter].flatMap(([name, condition]) => {
    if (!name.startsWith('$')) return splitPath(name).slice(0, 1);
    return Array.isArray(condition) ? condition.flatMap((branch) => (isDoc(branch) ? identifiersOf(branch) : [])) : [];
  });
}

function applySteps(doc: Doc, steps: readonly Step[], positions: Positions, inserting: boolean): Doc {
  const copy = cloneDoc(doc);
  const id = doc.get('_id');
  let moved: Value | undefined;
  for (const step of steps) {
    if (step.operator === '$setOnInsert' && !inserting) continue;
    if (step.operator === '$rename') {
      if (!step.creates) {
        moved = directValue(copy, step.path);
        if (moved !== undefined) changeAt(copy, step.path, false, () => undefined);
      } else if (moved !== undefined) {
        const value = moved;
        changeAt(copy, step.path, true, () => value);
      }
      continue;
    }
    for (const path of expandPath(copy, step.path, positions)) {
      changeAt(copy, path, step.creates, (current) => {
        const value = step.change(current);
        return value === undefined || value === current ? value : cloneValue(value);
      });
    }
  }
  const after = copy.get('_id');
  if (id !== undefined && (after === undefined || !equal(id, after))) throw immutableId();
  return copy;
}

/** The document that an upsert starts from: the equalities of its query. */
export function upsertBase(query: Doc): Doc {
  const base: Doc = new Map();
  collectEqualities(query, base);
  return base;
}

function collectEqualities(query: Doc, base: Doc): void {
  for (const [name, condition] of query) {
    if (name === '$and' && Array.isArray(condition))
      for (const branch of condition) if (isDoc(branch)) collectEqualities(branch, base);
    if (name === '$or' && Array.isArray(condition) && condition.length === 1 && isDoc(condition[0]))
      collectEqualities(condition[0], base);
    if (name.startsWith('$')) continue;
    const value = equalityOf(condition);
    if (value !== undefined) changeAt(base, splitPath(name), true, () => cloneValue(value));
  }
}

function equalityOf(condition: Value): Value | undefined {
  const operators = operatorsOf(condition);
  if (!operators) return typeName(condition) === 'regex' ? undefined : condition;
  if (operators.has('$eq')) return operators.get('$eq');
  for (const name of ['$in', '$all']) {
    const list = operators.get(name);
    if (Array.isArray(list) && list.length === 1) return list[0];
  }
  return undefined;
}

/** The document with an `_id` in front, a fresh one when it has none. */
export function withId(doc: Doc): Doc {
  const id = doc.get('_id') ?? new ObjectId();
  const result: Doc = new Map([['_id', id]]);
  for (const [name, value] of doc) if (name !== '_id') result.set(name, value);
  return result;
}
