import { Int32 } from 'bson';
import { ServerError } from '../bson/server-error.js';
import { toNumber, wholeNumber } from '../bson/number.js';
import { keyOf } from '../bson/order.js';
import { docOf, integer, isDoc, isNumeric, type Doc, type Value } from '../bson/value.js';
import { compileMatch, requireDoc } from '../query/match.js';
import { expressionValue, splitPath, type Path } from '../query/path.js';
import { compileSort } from '../query/sort.js';
import { compileExpression, truthy, type Variables } from './expression.js';
import { compileGroup } from './group.js';
import { compileLookup } from './lookup.js';
import { compileDocStage, refuseStage, stageOf } from './single.js';

/** What stages need of the database. */
export interface PipelineContext {
  readonly variables: Variables;
  /** All documents of a collection of the same database. */
  readonly read: (collection: string, query: Doc) => readonly Doc[];
  /** Called now and then: throws when the time is up. */
  readonly checkTime: () => void;
  /** Information about the collection itself, for $collStats and $indexStats. */
  readonly describe?: (stage: string, operand: Value) => readonly Doc[];
}
export type Stage = (docs: readonly Doc[]) => readonly Doc[];

const REFUSED = new Set(
  '$bucket $bucketAuto $changeStream $changeStreamSplitLargeEvent $densify $documents $fill $geoNear $graphLookup $listSampledQueries $listSearchIndexes $listSessions $listLocalSessions $merge $out $planCacheStats $redact $search $searchMeta $setWindowFields $shardedDataDistribution $unionWith $vectorSearch $currentOp'.split(
    ' ',
  ),
);

/** @throws ServerError 40324 for an unknown stage, 238 for one that only a real server has */
export function compileStages(pipeline: readonly Value[], context: PipelineContext): Stage {
  const stages = pipeline.map((stage, index) => {
    const [name, operand] = stageOf(stage);
    if ((name === '$collStats' || name === '$indexStats') && index > 0)
      throw new ServerError(40602, `${name} is only valid as the first stage in a pipeline`);
    return compileStage(name, operand, context);
  });
  return (docs) =>
    stages.reduce((current, stage) => {
      context.checkTime();
      return stage(current);
    }, docs);
}

function compileStage(name: string, operand: Value, context: PipelineContext): Stage {
  const single = compileDocStage(name, operand, context.variables);
  if (single) return (docs) => docs.map(single);
  switch (name) {
    case '$match': {
      const matches = compileMatch(requireFilter(operand), context.variables);
      return (docs) => docs.filter((doc) => matches(doc));
    }
    case '$group':
      return compileGroup(operand, context.variables);
    case '$sort': {
      const spec = requireDoc(operand, 'the $sort key specification');
      if (spec.size === 0) throw new ServerError(15976, '$sort stage must have at least one sort key');
      const order = compileSort(spec);
      return (docs) => order.sorted(docs, (doc) => doc);
    }
    case '$limit': {
      const limit = wholeOperand(name, operand);
      if (limit === 0) throw new ServerError(15958, 'the limit must be positive');
      return (docs) => docs.slice(0, limit);
    }
    case '$skip': {
      const skip = wholeOperand(name, operand);
      return (docs) => docs.slice(skip);
    }
    case '$count': {
      if (typeof operand !== 'string' || operand === '' || operand.startsWith('$') || operand.includes('.'))
        throw new ServerError(
          40156,
          'the count field must be a non-empty string, without $ in front and without a dot',
        );
      return (docs) => (docs.length === 0 ? [] : [docOf({ [operand]: new Int32(docs.length) })]);
    }
    case '$unwind':
      return compileUnwind(operand);
    case '$sortByCount': {
      const id = compileExpression(operand);
      return (docs) => sortByCount(docs, (doc) => id(doc, context.variables) ?? null);
    }
    case '$facet':
      return compileFacet(operand, context);
    case '$sample':
      return compileSample(operand);
    case '$lookup':
      return compileLookup(operand, context, compileStages);
    case '$collStats':
    case '$indexStats':
      return () => context.describe?.(name, operand) ?? [];
    default:
      if (REFUSED.has(name)) throw refuseStage(name);
      throw new ServerError(40324, `Unrecognized pipeline stage name: '${name}'`);
  }
}

function requireFilter(operand: Value): Doc {
  if (isDoc(operand)) return operand;
  throw new ServerError(15959, 'the match filter must be an expression in an object');
}

function wholeOperand(name: string, operand: Value): number {
  const whole = wholeNumber(operand);
  if (whole === undefined || whole < 0) {
    throw new ServerError(
      name === '$limit' ? 5107201 : 5107200,
      `invalid argument to ${name} stage: Expected a non-negative number in: ${name}: ${isNumeric(operand) ? toNumber(operand) : 'not a number'}`,
    );
  }
  return whole;
}

function compileUnwind(operand: Value): Stage {
  const spec = isDoc(operand) ? operand : docOf({ path: operand });
  for (const name of spec.keys())
    if (!['path', 'includeArrayIndex', 'preserveNullAndEmptyArrays'].includes(name))
      throw new ServerError(28811, `unrecognized option to $unwind stage: ${name}`);
  const given = spec.get('path');
  if (typeof given !== 'string') throw new ServerError(28808, 'expected a string as the path for $unwind stage');
  if (!given.startsWith('$'))
    throw new ServerError(28818, `path option to $unwind stage should be prefixed with a '$': ${given}`);
  const path = splitPath(given.slice(1));
  const indexName = spec.get('includeArrayIndex');
  if (indexName !== undefined && (typeof indexName !== 'string' || indexName === ''))
    throw new ServerError(28810, 'expected a non-empty string for the includeArrayIndex option to $unwind stage');
  const keep = truthy(spec.get('preserveNullAndEmptyArrays'));
  return (docs) =>
    docs.flatMap((doc) => {
      const value = unwindValue(doc, path);
      const numbered = (result: Doc, index: number | null): Doc =>
        indexName === undefined
          ? result
          : withValue(result, splitPath(indexName), index === null ? null : BigInt(index));
      if (Array.isArray(value) && value.length > 0)
        return value.map((item, index) => numbered(withValue(doc, path, item), index));
      if (Array.isArray(value)) return keep ? [numbered(withValue(doc, path, undefined), null)] : [];
      if (value === undefined || value === null) return keep ? [numbered(new Map(doc), null)] : [];
      return [numbered(new Map(doc), null)];
    });
}

function unwindValue(doc: Doc, path: Path): Value | undefined {
  let value: Value | undefined = doc;
  for (const part of path) value = isDoc(value) ? value.get(part) : undefined;
  return value;
}

/** A copy with another value at a path; undefined removes it. */
export function withValue(doc: Doc, path: Path, value: Value | undefined): Doc {
  const [name = '', ...below] = path;
  const copy = new Map(doc);
  if (below.length > 0) {
    const inner = copy.get(name);
    copy.set(name, withValue(isDoc(inner) ? inner : new Map<string, Value>(), below, value));
  } else if (value === undefined) copy.delete(name);
  else copy.set(name, value);
  return copy;
}

function sortByCount(docs: readonly Doc[], id: (doc: Doc) => Value): Doc[] {
  const groups = new Map<string, { readonly id: Value; count: number }>();
  for (const doc of docs) {
    const value = id(doc);
    const group = groups.get(keyOf(value)) ?? { id: value, count: 0 };
    group.count += 1;
    groups.set(keyOf(value), group);
  }
  return [...groups.values()]
    .sort((a, b) => b.count - a.count)
    .map((group) => docOf({ _id: group.id, count: integer(group.count) }));
}

function compileFacet(operand: Value, context: PipelineContext): Stage {
  const facets = [...requireDoc(operand, 'the $facet specification')].map(([name, pipeline]) => {
    if (!Array.isArray(pipeline)) throw new ServerError(40170, `arguments to $facet must be arrays, ${name} is not`);
    return [name, compileStages(pipeline, context)] as const;
  });
  if (facets.length === 0) throw new ServerError(40169, 'the $facet specification must be a non-empty object');
  return (docs) => [new Map(facets.map(([name, run]) => [name, [...run(docs)]]))];
}

function compileSample(operand: Value): Stage {
  const size = isDoc(operand) ? wholeNumber(operand.get('size')) : undefined;
  if (size === undefined || size < 0)
    throw new ServerError(28747, 'size argument to $sample must be a non-negative number');
  return (docs) => {
    const pool = [...docs];
    const taken: Doc[] = [];
    while (taken.length < size && pool.length > 0) {
      const at = Math.floor(Math.random() * pool.length);
      const picked = pool[at];
      const last = pool.pop();
      if (last && at < pool.length) pool[at] = last;
      if (picked) taken.push(picked);
    }
    return taken;
  };
}

/** The values of a lookup's field: an array stands for each of its elements. */
export function joinValues(doc: Doc, path: Path): readonly Value[] {
  const value = expressionValue(doc, path);
  return Array.isArray(value) ? value : [value ?? null];
}
