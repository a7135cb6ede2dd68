import { BSONRegExp } from 'bson';
import { compare, equal, rank, RANK } from '../bson/order.js';
import { isDoc, isNumeric, type Doc, type Value } from '../bson/value.js';
import { operatorsOf } from '../query/match.js';
import type { SortField } from '../query/sort.js';
import type { DocIndex, Entry } from './doc-index.js';
import type { StoredDoc } from './record.js';

/** What a query surely demands of one field. */
interface Demand {
  /** The field is one of these. */
  points: readonly Value[] | null;
  low: { readonly value: Value; readonly inclusive: boolean } | null;
  high: { readonly value: Value; readonly inclusive: boolean } | null;
  /** Some stored value is there and not null. */
  present: boolean;
}

export interface Plan {
  readonly index: DocIndex | null;
  /** Candidates: a superset of the answer, without repetition. */
  readonly candidates: Iterable<StoredDoc>;
  /** True when they come in the order of the sort. */
  readonly sorted: boolean;
}

function indexable(value: Value): boolean {
  return !Array.isArray(value) && !(value instanceof BSONRegExp) && !(isNumeric(value) && Number.isNaN(value));
}

function demandsOf(query: Doc, demands = new Map<string, Demand>()): Map<string, Demand> {
  for (const [name, condition] of query) {
    if (name === '$and' && Array.isArray(condition))
      for (const branch of condition) if (isDoc(branch)) demandsOf(branch, demands);
    if (name.startsWith('$')) continue;
    const demand = demands.get(name) ?? { points: null, low: null, high: null, present: false };
    demands.set(name, demand);
    const operators = operatorsOf(condition);
    if (operators) for (const [operator, operand] of operators) demandOperator(demand, operator, operand);
    else demandOperator(demand, '$eq', condition);
  }
  return demands;
}

function demandOperator(demand: Demand, operator: string, operand: Value): void {
  if (operator === '$exists') return;
  if (operator === '$in' && Array.isArray(operand)) {
    if (operand.every(indexable)) demand.points ??= operand;
    if (operand.every((item) => item !== null)) demand.present = true;
    return;
  }
  if (!['$eq', '$gt', '$gte', '$lt', '$lte'].includes(operator)) return;
  if (operand !== null) demand.present = true;
  if (!indexable(operand)) return;
  if (operator === '$eq') demand.points ??= [operand];
  // Bounds end at the edge of the operand's type; those of MinKey and MaxKey do not.
  else if (operand === null || rank(operand) === RANK.min || rank(operand) === RANK.max) return;
  else if (operator === '$gt' || operator === '$gte') demand.low ??= { value: operand, inclusive: operator === '$gte' };
  else demand.high ??= { value: operand, inclusive: operator === '$lte' };
}

/** Whether every document that the query matches is in the index. */
function covers(index: DocIndex, query: Doc, demands: ReadonlyMap<string, Demand>): boolean {
  const { spec } = index;
  if (spec.sparse && !spec.fields.some((field) => demands.get(field.name)?.present === true)) return false;
  return spec.partial === null || implies(query, demands, spec.partial);
}

function implies(query: Doc, demands: ReadonlyMap<string, Demand>, filter: Doc): boolean {
  for (const [name, wanted] of filter) {
    if (name.startsWith('$')) return false;
    const given = query.get(name);
    if (given !== undefined && equal(given, wanted)) continue;
    const demand = demands.get(name);
    const operators = operatorsOf(wanted) ?? new Map<string, Value>([['$eq', wanted]]);
    for (const [operator, operand] of operators) if (!impliesOperator(demand, operator, operand)) return false;
  }
  return true;
}

function impliesOperator(demand: Demand | undefined, operator: string, operand: Value): boolean {
  if (!demand) return false;
  const points = demand.points;
  switch (operator) {
    case '$exists':
      return demand.present;
    case '$eq':
      return points?.every((point) => equal(point, operand)) === true;
    case '$in':
      return Array.isArray(operand) && points?.every((point) => operand.some((item) => equal(item, point))) === true;
    case '$gt':
    case '$gte': {
      const holds = (value: Value, open: boolean): boolean =>
        rank(value) === rank(operand) &&
        (compare(value, operand) > 0 || (compare(value, operand) === 0 && (operator === '$gte' || open)));
      return points
        ? points.every((point) => holds(point, false))
        : demand.low !== null && holds(demand.low.value, !demand.low.inclusive);
    }
    case '$lt':
    case '$lte': {
      const holds = (value: Value, open: boolean): boolean =>
        rank(value) === rank(operand) &&
        (compare(value, operand) < 0 || (compare(value, operand) === 0 && (operator === '$lte' || open)));
      return points
        ? points.every((point) => holds(point, false))
        : demand.high !== null && holds(demand.high.value, !demand.high.inclusive);
    }
    default:
      return false;
  }
}

interface Bounds {
  /** Leading fields with exact values; each list is tried. */
  readonly points: readonly (readonly Value[])[];
  readonly range: Demand | null;
  readonly score: number;
}

function boundsOf(index: DocIndex, demands: ReadonlyMap<string, Demand>): Bounds {
  const points: (readonly Value[])[] = [];
  const roots = new Set<string>();
  let score = 0;
  for (const field of index.spec.fields) {
    const demand = demands.get(field.name);
    const root = field.name.split('.', 1)[0] ?? '';
    // Two fields of one array may be matched by different elements.
    if (!demand || (index.multikey && roots.has(root))) break;
    roots.add(root);
    if (demand.points) {
      points.push(demand.points);
      score += 10;
      continue;
    }
    if (demand.low || demand.high) return { points, range: demand, score: score + (demand.low && demand.high ? 6 : 5) };
    break;
  }
  return { points, range: null, score };
}

/** Picks the index that narrows most, or that gives the sort; null index = all documents in natural order. */
export function plan(
  query: Doc,
  sort: readonly SortField[],
  indexes: readonly DocIndex[],
  all: () => Iterable<StoredDoc>,
  hint: DocIndex | 'natural' | null,
): Plan {
  if (hint === 'natural') return { index: null, candidates: all(), sorted: sort.length === 0 };
  const demands = demandsOf(query);
  let best: { index: DocIndex; bounds: Bounds; direction: 1 | -1 | 0; score: number } | null = null;
  for (const index of hint ? [hint] : indexes) {
    if ((index.spec.hidden && !hint) || !covers(index, query, demands)) continue;
    const bounds = boundsOf(index, demands);
    const direction = sortDirection(index, bounds, sort);
    const score =
      bounds.score +
      (direction !== 0 ? 3 : 0) +
      (index.spec.unique && bounds.points.length === index.spec.fields.length ? 1 : 0);
    if (score > (best?.score ?? 0) || hint) best = { index, bounds, direction, score };
  }
  if (!best) return { index: null, candidates: all(), sorted: sort.length === 0 };
  const { index, bounds, direction } = best;
  return { index, candidates: scan(index, bounds, direction === -1), sorted: sort.length === 0 || direction !== 0 };
}

/** 1 or -1 when reading the index that way gives the sort's order. */
function sortDirection(index: DocIndex, bounds: Bounds, sort: readonly SortField[]): 1 | -1 | 0 {
  if (sort.length === 0 || index.multikey || bounds.points.some((list) => list.length > 1)) return 0;
  let fixed = 0;
  let direction: 1 | -1 | 0 = 0;
  for (const wanted of sort) {
    let field = index.spec.fields[fixed];
    while (field && field.name !== wanted.name && fixed < bounds.points.length) {
      fixed += 1;
      field = index.spec.fields[fixed];
    }
    if (field?.name !== wanted.name) return 0;
    const way = field.direction === wanted.direction ? 1 : -1;
    if (direction !== 0 && way !== direction) return 0;
    direction = way;
    fixed += 1;
  }
  return direction;
}

function* scan(index: DocIndex, bounds: Bounds, backwards: boolean): Generator<StoredDoc> {
  const seen = index.multikey || bounds.points.some((list) => list.length > 1) ? new Set<StoredDoc>() : null;
  for (const prefix of combinations(bounds.points)) {
    for (const entry of entriesOf(index, prefix, bounds.range, backwards)) {
      if (seen?.has(entry.record) === true) continue;
      seen?.add(entry.record);
      yield entry.record;
    }
  }
}

function combinations(points: readonly (readonly Value[])[]): Value[][] {
  return points.reduce<Value[][]>(
    (prefixes, list) => prefixes.flatMap((prefix) => list.map((value) => [...prefix, value])),
    [[]],
  );
}

function entriesOf(
  index: DocIndex,
  prefix: readonly Value[],
  range: Demand | null,
  backwards: boolean,
): Iterable<Entry> {
  const at = prefix.length;
  const flipped = index.spec.fields[at]?.direction === -1;
  // Of a multikey index only one bound holds for one and the same element.
  const low = range?.low ?? null;
  const high = index.multikey && low ? null : (range?.high ?? null);
  const bound = low ?? high;
  /** Negative before the wanted stretch, zero in it, positive after it. */
  const position = ({ key }: Entry): number => {
    const order = index.compareKeys(key, prefix, at);
    if (order !== 0 || !bound) return order;
    const value = key[at];
    const side = sideOf(value, bound.value, low, high);
    return flipped ? -side : side;
  };
  return within(backwards ? index.entries.backFrom(position) : index.entries.from(position), position);
}

function sideOf(value: Value | undefined, bound: Value, low: Demand['low'], high: Demand['high']): number {
  const type = rank(value) - rank(bound);
  if (type !== 0) return type;
  if (low) {
    const order = compare(value, low.value);
    if (order < 0 || (order === 0 && !low.inclusive)) return -1;
  }
  if (high) {
    const order = compare(value, high.value);
    if (order > 0 || (order === 0 && !high.inclusive)) return 1;
  }
  return 0;
}

function* within(entries: Iterable<Entry>, position: (entry: Entry) => number): Generator<Entry> {
  for (const entry of entries) {
    if (position(entry) !== 0) return;
    yield entry;
  }
}
