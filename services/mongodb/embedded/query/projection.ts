import { notImplemented, ServerError } from '../bson/server-error.js';
import { toNumber, wholeNumber } from '../bson/number.js';
import { isDoc, isNumeric, type Doc, type Value } from '../bson/value.js';
import { compileExpression, type Expression, type Variables } from '../aggregate/expression.js';
import { compileElement, type Predicate } from './match.js';
import { splitPath, type Trace } from './path.js';

export type Projector = (doc: Doc) => Doc;

/** What happens to one field. */
type Rule =
  | { readonly kind: 'include' | 'exclude' }
  | { readonly kind: 'compute'; readonly expression: Expression }
  | { readonly kind: 'elements'; readonly apply: (array: Value[], doc: Doc) => Value[] | undefined };
type Tree = Map<string, Rule | Tree>;

export interface ProjectionContext {
  readonly variables?: Variables;
  /** `find`: $slice, $elemMatch and positional are projections; else they are expressions or errors. */
  readonly find?: { readonly query: Predicate };
  readonly stage?: '$project' | '$addFields';
}

/** @throws ServerError 31253 / 31254 when inclusion and exclusion are mixed, 31249 / 31250 when paths collide */
export function compileProjection(spec: Doc, context: ProjectionContext = {}): Projector {
  const tree: Tree = new Map();
  const modes = { include: '', exclude: '', id: undefined as boolean | undefined };
  const adding = context.stage === '$addFields';
  addFields(tree, spec, '', modes, context, adding);
  if (modes.include !== '' && modes.exclude !== '') {
    throw new ServerError(31254, `Cannot do exclusion on field ${modes.exclude} in inclusion projection`);
  }
  const inclusive = !adding && (modes.include !== '' || (modes.exclude === '' && modes.id === true));
  if (inclusive && modes.id === undefined) tree.set('_id', { kind: 'include' });
  const variables = context.variables ?? new Map<string, Value>();
  return (doc) => project(doc, tree, inclusive, doc, variables);
}

interface Modes {
  include: string;
  exclude: string;
  id: boolean | undefined;
}

function addFields(
  tree: Tree,
  spec: Doc,
  prefix: string,
  modes: Modes,
  context: ProjectionContext,
  adding: boolean,
): void {
  for (const [name, value] of spec) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    if (!adding && isDoc(value) && value.size > 0 && ![...value.keys()].some((key) => key.startsWith('$')))
      addFields(tree, value, path, modes, context, adding);
    else place(tree, path, ruleOf(path, value, modes, context, adding));
  }
}

function ruleOf(path: string, value: Value, modes: Modes, context: ProjectionContext, adding: boolean): Rule {
  const flag = typeof value === 'boolean' ? value : isNumeric(value) ? toNumber(value) !== 0 : undefined;
  if (!adding && flag !== undefined) {
    if (path === '_id') modes.id = flag;
    else if (flag) modes.include ||= path;
    else modes.exclude ||= path;
    return { kind: flag ? 'include' : 'exclude' };
  }
  if (context.find && isDoc(value)) {
    const rule = findRule(path, value, modes, context);
    if (rule) return rule;
  }
  if (!adding) modes.include ||= path;
  return { kind: 'compute', expression: compileExpression(value) };
}

function findRule(path: string, value: Doc, modes: Modes, context: ProjectionContext): Rule | null {
  if (value.has('$meta')) throw notImplemented('The projection operator $meta');
  const slice = value.get('$slice');
  if (slice !== undefined && !(Array.isArray(slice) && typeof slice[0] === 'string'))
    return { kind: 'elements', apply: sliceOf(slice) };
  const condition = value.get('$elemMatch');
  if (condition === undefined) return null;
  if (!isDoc(condition))
    throw new ServerError(31274, `elemMatch: Invalid argument, object required, but got ${typeof condition}`);
  if (path.includes('.')) throw new ServerError(31275, 'Cannot use $elemMatch projection on a nested field');
  modes.include ||= path;
  const matches = compileElement(condition, context.variables);
  return {
    kind: 'elements',
    apply: (array) => {
      const found = array.find(matches);
      return found === undefined ? undefined : [found];
    },
  };
}

function sliceOf(operand: Value): (array: Value[]) => Value[] {
  const [skip, limit] = Array.isArray(operand) ? operand.map(wholeNumber) : [wholeNumber(operand)];
  if (skip === undefined) throw new ServerError(28724, 'First argument to $slice must be an array, or a number');
  if (!Array.isArray(operand)) return (array) => (skip >= 0 ? array.slice(0, skip) : array.slice(skip));
  if (limit === undefined || limit <= 0) throw new ServerError(28729, '$slice limit must be positive');
  return (array) => {
    const from = skip >= 0 ? skip : Math.max(0, array.length + skip);
    return array.slice(from, from + limit);
  };
}

function place(tree: Tree, path: string, rule: Rule): void {
  const parts = splitPath(path);
  const last = parts.at(-1) ?? '';
  let node = tree;
  for (const part of parts.slice(0, -1)) {
    const next = node.get(part) ?? new Map<string, never>();
    if (!(next instanceof Map)) throw new ServerError(31249, `Path collision at ${path}`);
    node.set(part, next);
    node = next;
  }
  if (node.has(last)) throw new ServerError(31250, `Path collision at ${path}`);
  if (last === '' || last.startsWith('$'))
    throw new ServerError(16410, `FieldPath field names may not start with '$' or be empty: ${path}`);
  node.set(last, rule);
}

function project(doc: Doc, tree: Tree, inclusive: boolean, root: Doc, variables: Variables): Doc {
  const result: Doc = new Map();
  for (const [name, value] of doc) {
    const rule = tree.get(name);
    if (rule === undefined) {
      if (!inclusive) result.set(name, value);
      continue;
    }
    const kept =
      rule instanceof Map
        ? projectNested(value, rule, inclusive, root, variables)
        : apply(value, rule, root, variables);
    if (kept !== undefined) result.set(name, kept);
  }
  for (const [name, rule] of tree) {
    if (doc.has(name)) continue;
    const added =
      rule instanceof Map
        ? computedOnly(rule, root, variables)
        : rule.kind === 'compute'
          ? rule.expression(root, variables)
          : undefined;
    if (added !== undefined) result.set(name, added);
  }
  return result;
}

function apply(value: Value, rule: Rule, root: Doc, variables: Variables): Value | undefined {
  switch (rule.kind) {
    case 'include':
      return value;
    case 'exclude':
      return undefined;
    case 'compute':
      return rule.expression(root, variables);
    case 'elements':
      return Array.isArray(value) ? rule.apply(value, root) : value;
  }
}

function projectNested(
  value: Value,
  tree: Tree,
  inclusive: boolean,
  root: Doc,
  variables: Variables,
): Value | undefined {
  if (isDoc(value)) return project(value, tree, inclusive, root, variables);
  if (Array.isArray(value)) {
    const items: Value[] = [];
    for (const item of value) {
      const kept = projectNested(item, tree, inclusive, root, variables);
      if (kept !== undefined) items.push(kept);
    }
    return items;
  }
  const computed = computedOnly(tree, root, variables);
  return computed ?? (inclusive ? undefined : value);
}

/** Computed fields below a field that is missing or no document make that document. */
function computedOnly(tree: Tree, root: Doc, variables: Variables): Doc | undefined {
  const made: Doc = new Map();
  for (const [name, rule] of tree) {
    const value =
      rule instanceof Map
        ? computedOnly(rule, root, variables)
        : rule.kind === 'compute'
          ? rule.expression(root, variables)
          : undefined;
    if (value !== undefined) made.set(name, value);
  }
  return made.size === 0 ? undefined : made;
}

/** The projection of a find: as above, plus the positional `field.$`. */
export function compileFindProjection(spec: Doc, query: Predicate, variables: Variables): Projector {
  const positional = [...spec.keys()].filter((name) => name.endsWith('.$'));
  const [only] = positional;
  if (only === undefined) return compileProjection(spec, { find: { query }, variables });
  if (positional.length > 1)
    throw new ServerError(31276, 'Cannot specify more than one positional projection per query.');
  const field = only.slice(0, -2);
  const plain = new Map([...spec].map(([name, value]) => [name === only ? field : name, name === only ? true : value]));
  const rest = compileProjection(plain, { find: { query }, variables });
  return (doc) => {
    const trace: Trace = { position: null };
    query(doc, trace);
    return rest(atPosition(doc, splitPath(field), trace.position));
  };
}

function atPosition(doc: Doc, path: readonly string[], position: number | null): Doc {
  const [name = '', ...below] = path;
  const value = doc.get(name);
  const copy = new Map(doc);
  if (below.length > 0) {
    if (isDoc(value)) copy.set(name, atPosition(value, below, position));
  } else if (Array.isArray(value)) {
    const item = position === null ? undefined : value[position];
    if (item === undefined)
      throw new ServerError(
        51246,
        "Executor error during find command :: caused by :: positional operator '.$' couldn't find a matching element in the array",
      );
    copy.set(name, [item]);
  }
  return copy;
}
