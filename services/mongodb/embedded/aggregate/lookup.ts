import { ServerError } from '../bson/server-error.js';
import { keyOf } from '../bson/order.js';
import { isDoc, type Doc, type Value } from '../bson/value.js';
import { requireDoc } from '../query/match.js';
import { splitPath } from '../query/path.js';
import { compileExpression, type Variables } from './expression.js';
import { joinValues, withValue, type PipelineContext, type Stage } from './pipeline.js';

type Compile = (pipeline: readonly Value[], context: PipelineContext) => Stage;

const KNOWN = ['from', 'localField', 'foreignField', 'as', 'let', 'pipeline'];

function text(spec: Doc, name: string): string | undefined {
  const value = spec.get(name);
  if (value === undefined || typeof value === 'string') return value;
  throw new ServerError(4570, `$lookup argument '${name}' must be a string`);
}

/** `$lookup` by equality of two fields, by a pipeline with variables, or both. */
export function compileLookup(operand: Value, context: PipelineContext, compile: Compile): Stage {
  const spec = requireDoc(operand, 'the $lookup specification');
  const unknown = [...spec.keys()].find((name) => !KNOWN.includes(name));
  if (unknown !== undefined) throw new ServerError(9, `unknown argument to $lookup: ${unknown}`);
  const [from, localField, foreignField, as] = ['from', 'localField', 'foreignField', 'as'].map((name) =>
    text(spec, name),
  );
  const pipeline = spec.get('pipeline');
  if (as === undefined) throw new ServerError(9, "must specify 'as' field for a $lookup");
  if (from === undefined) throw new ServerError(9, "must specify 'from' field for a $lookup");
  if ((localField === undefined) !== (foreignField === undefined))
    throw new ServerError(9, '$lookup requires both or neither of localField and foreignField to be specified');
  if (localField === undefined && pipeline === undefined)
    throw new ServerError(9, '$lookup requires either localField and foreignField, or pipeline');
  if (pipeline !== undefined && !Array.isArray(pipeline))
    throw new ServerError(14, "'pipeline' option must be specified as an array");
  const target = splitPath(as);
  const bound = isDoc(spec.get('let'))
    ? [...requireDoc(spec.get('let'), 'let')].map(([name, value]) => [name, compileExpression(value)] as const)
    : [];
  // Compiled once now, so that a wrong pipeline is an error also when there is nothing to join.
  if (pipeline) compile(pipeline, { ...context, variables: scope(context.variables, bound, new Map()) });
  return (docs) => {
    const foreign = context.read(from, new Map());
    const table = foreignField === undefined ? null : hashBy(foreign, foreignField);
    return docs.map((doc) => {
      context.checkTime();
      let joined: readonly Doc[] = table && localField !== undefined ? lookupIn(table, doc, localField) : foreign;
      if (pipeline) joined = compile(pipeline, { ...context, variables: scope(context.variables, bound, doc) })(joined);
      return withValue(doc, target, [...joined]);
    });
  };
}

function scope(
  variables: Variables,
  bound: readonly (readonly [string, ReturnType<typeof compileExpression>])[],
  doc: Doc,
): Variables {
  if (bound.length === 0) return variables;
  const inner = new Map(variables);
  for (const [name, value] of bound) inner.set(name, value(doc, variables));
  return inner;
}

interface Foreign {
  readonly order: number;
  readonly doc: Doc;
}

function hashBy(docs: readonly Doc[], field: string): Map<string, Foreign[]> {
  const table = new Map<string, Foreign[]>();
  const path = splitPath(field);
  for (const [order, doc] of docs.entries()) {
    for (const key of new Set(joinValues(doc, path).map(keyOf))) {
      const bucket = table.get(key);
      if (bucket) bucket.push({ order, doc });
      else table.set(key, [{ order, doc }]);
    }
  }
  return table;
}

function lookupIn(table: ReadonlyMap<string, readonly Foreign[]>, doc: Doc, field: string): Doc[] {
  const found = new Map<number, Doc>();
  for (const key of new Set(joinValues(doc, splitPath(field)).map(keyOf)))
    for (const { order, doc: match } of table.get(key) ?? []) found.set(order, match);
  return [...found].sort(([a], [b]) => a - b).map(([, match]) => match);
}
