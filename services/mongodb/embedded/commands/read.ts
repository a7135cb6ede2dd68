import { show } from '../bson/show.js';
import { encode } from '../bson/encode.js';
import { ServerError } from '../bson/server-error.js';
import { keyOf } from '../bson/order.js';
import { docOf, int, integer, isDoc, type Doc, type Value } from '../bson/value.js';
import { compileMatch, requireDoc, type Predicate } from '../query/match.js';
import { splitPath, visitPath } from '../query/path.js';
import { compileFindProjection } from '../query/projection.js';
import { compileSort, type Sort } from '../query/sort.js';
import { truthy, type Variables } from '../aggregate/expression.js';
import { compileExpression } from '../aggregate/expression.js';
import type { Collection } from '../store/collection.js';
import type { DocIndex } from '../store/doc-index.js';
import type { StoredDoc } from '../store/record.js';
import {
  arrayArg,
  boolArg,
  checkCollation,
  countArg,
  docArg,
  missing,
  namespaceOf,
  refuseArgs,
  textArg,
  type Command,
  type Request,
} from './command.js';

export const EMPTY: Doc = new Map();

/** `let` of a command: constants by name. */
export function letVariables(request: Request): Variables {
  const variables = new Map<string, Value | undefined>();
  for (const [name, value] of docArg(request, 'let') ?? EMPTY)
    variables.set(name, compileExpression(value)(EMPTY, variables));
  return variables;
}

export function hintOf(collection: Collection | undefined, holder: Doc): DocIndex | 'natural' | null {
  const hint = holder.get('hint');
  if (hint === undefined || hint === null || !collection || (isDoc(hint) && hint.size === 0)) return null;
  if (isDoc(hint) && hint.has('$natural')) return 'natural';
  const index =
    typeof hint === 'string'
      ? collection.indexNamed(hint)
      : collection.indexes.find((item) => keyOf(item.spec.key) === keyOf(hint));
  if (!index)
    throw new ServerError(
      2,
      'error processing query: planner returned error :: caused by :: hint provided does not correspond to an existing index',
    );
  return index;
}

export interface Selection {
  readonly query: Doc;
  readonly matches: Predicate;
  readonly sort?: Sort | null;
  readonly hint?: DocIndex | 'natural' | null;
  readonly skip?: number;
  readonly limit?: number;
  readonly checkTime?: () => void;
}

/** The records that a query selects, in its order. */
export function select(collection: Collection | undefined, selection: Selection): StoredDoc[] {
  if (!collection) return [];
  const { query, matches, sort = null, skip = 0, limit = Infinity } = selection;
  const plan = collection.plan(query, sort?.fields ?? [], selection.hint ?? null);
  const found: StoredDoc[] = [];
  const enough = plan.sorted ? skip + limit : Infinity;
  let looked = 0;
  for (const record of plan.candidates) {
    if ((looked += 1) % 256 === 0) selection.checkTime?.();
    if (query.size > 0 && !matches(record.doc)) continue;
    found.push(record);
    if (found.length >= enough) break;
  }
  const ordered = plan.sorted || !sort ? found : sort.sorted(found, (record) => record.doc);
  return skip === 0 && ordered.length <= limit ? ordered : ordered.slice(skip, skip + limit);
}

function sortArg(request: Request): Sort | null {
  const spec = docArg(request, 'sort');
  if (!spec || spec.size === 0 || spec.has('$natural')) return null;
  return compileSort(spec);
}

const find: Command = {
  args: 'filter sort projection hint skip limit batchSize singleBatch max min returnKey showRecordId tailable awaitData oplogReplay noCursorTimeout allowPartialResults collation allowDiskUse let'.split(
    ' ',
  ),
  run: (request, engine) => {
    refuseArgs(request, ['max', 'min', 'returnKey', 'showRecordId']);
    checkCollation(request.body);
    if (boolArg(request, 'tailable'))
      throw new ServerError(2, 'error processing query: tailable cursor requested on non capped collection');
    const namespace = namespaceOf(request);
    const collection = engine.store.get(namespace);
    const query = docArg(request, 'filter') ?? EMPTY;
    const variables = letVariables(request);
    const matches = compileMatch(query, variables);
    const projection = docArg(request, 'projection');
    const project = projection && projection.size > 0 ? compileFindProjection(projection, matches, variables) : null;
    const natural = docArg(request, 'sort')?.get('$natural');
    const records = select(collection, {
      query,
      matches,
      sort: sortArg(request),
      hint: natural === undefined ? hintOf(collection, request.body) : 'natural',
      skip: countArg(request.body, 'skip') ?? 0,
      // A natural order that runs backwards is cut after it is turned round.
      limit: (natural !== undefined && isBackwards(natural) ? 0 : (countArg(request.body, 'limit') ?? 0)) || Infinity,
      checkTime: request.checkTime,
    });
    const limit = countArg(request.body, 'limit') ?? 0;
    const ordered =
      natural !== undefined && isBackwards(natural) ? records.reverse().slice(0, limit || Infinity) : records;
    return engine.cursors.first(
      namespace,
      ordered,
      (record) => (project ? encode(project(record.doc)) : record.bytes),
      {
        batchSize: countArg(request.body, 'batchSize'),
        single: boolArg(request, 'singleBatch'),
        keep: boolArg(request, 'noCursorTimeout'),
      },
    );
  },
};

function isBackwards(way: Value): boolean {
  return keyOf(way) === 'n-1';
}

const getMore: Command = {
  args: ['collection', 'batchSize', 'term', 'lastKnownCommittedOpTime'],
  run: (request, engine) => {
    const id = request.body.get('getMore');
    if (typeof id !== 'bigint')
      throw new ServerError(14, "BSON field 'getMore.getMore' is the wrong type, expected type 'long'");
    return engine.cursors.more(
      id,
      `${request.database}.${textArg(request, 'collection')}`,
      countArg(request.body, 'batchSize'),
    );
  },
};

const killCursors: Command = {
  args: ['cursors'],
  run: (request, engine) => {
    const ids = arrayArg(request, 'cursors');
    if (!ids) throw missing(request, 'cursors');
    const killed = ids.filter((id) => typeof id === 'bigint' && engine.cursors.kill(id));
    const lost = ids.filter((id) => !killed.includes(id));
    return docOf({ cursorsKilled: killed, cursorsNotFound: lost, cursorsAlive: [], cursorsUnknown: [] });
  },
};

const count: Command = {
  args: ['query', 'limit', 'skip', 'hint', 'collation', 'fields'],
  run: (request, engine) => {
    checkCollation(request.body);
    const collection = engine.store.get(namespaceOf(request));
    const query = docArg(request, 'query') ?? EMPTY;
    const skip = countArg(request.body, 'skip') ?? 0;
    const limit = Math.abs(Number(request.body.get('limit') ?? 0)) || Infinity;
    if (query.size === 0)
      return docOf({ n: integer(Math.max(0, Math.min((collection?.docs.size ?? 0) - skip, limit))) });
    const found = select(collection, {
      query,
      matches: compileMatch(query),
      hint: hintOf(collection, request.body),
      skip,
      limit,
      checkTime: request.checkTime,
    });
    return docOf({ n: integer(found.length) });
  },
};

const distinct: Command = {
  args: ['key', 'query', 'collation', 'hint'],
  run: (request, engine) => {
    checkCollation(request.body);
    const collection = engine.store.get(namespaceOf(request));
    const path = splitPath(textArg(request, 'key'));
    const query = docArg(request, 'query') ?? EMPTY;
    const values = new Map<string, Value>();
    const add = (value: Value): void => {
      const key = keyOf(value);
      if (!values.has(key)) values.set(key, value);
    };
    for (const record of select(collection, {
      query,
      matches: compileMatch(query),
      hint: hintOf(collection, request.body),
      checkTime: request.checkTime,
    })) {
      visitPath(record.doc, path, false, (value) => {
        if (Array.isArray(value)) value.forEach(add);
        else if (value !== undefined) add(value);
        return false;
      });
    }
    return docOf({ values: [...values.values()] });
  },
};

const VERBOSITIES = ['queryPlanner', 'executionStats', 'allPlansExecution'];

/** Which index is taken, truthfully; the rest of the shape is for people who read it. */
const explain: Command = {
  args: ['verbosity'],
  run: (request, engine) => {
    const inner = requireDoc(request.body.get('explain'), 'explain');
    const verbosity = request.body.get('verbosity') ?? 'allPlansExecution';
    if (typeof verbosity !== 'string' || !VERBOSITIES.includes(verbosity)) {
      throw new ServerError(
        2,
        `Enumeration value ${show(verbosity)} for field 'explain.verbosity' is not a valid value.`,
      );
    }
    const [name = '', target] = inner.entries().next().value ?? [];
    const namespace = `${request.database}.${typeof target === 'string' ? target : ''}`;
    const collection = engine.store.get(namespace);
    const query = explainedQuery(name, inner);
    const sortSpec = inner.get('sort');
    const sort = isDoc(sortSpec) && sortSpec.size > 0 ? compileSort(sortSpec) : null;
    const matches = compileMatch(query);
    const plan = collection?.plan(query, sort?.fields ?? [], hintOf(collection, inner)) ?? null;
    const winner = stageOf(
      plan?.index ?? null,
      query,
      collection === undefined,
      sort !== null && plan?.sorted !== true,
    );
    const planner = docOf({
      namespace,
      indexFilterSet: false,
      parsedQuery: query,
      winningPlan: winner,
      rejectedPlans: [],
    });
    const answer = new Map<string, unknown>([
      ['explainVersion', '1'],
      ['queryPlanner', planner],
    ]);
    if (verbosity !== 'queryPlanner') {
      const candidates = plan ? [...plan.candidates] : [];
      const returned = candidates.filter((record) => matches(record.doc)).length;
      answer.set(
        'executionStats',
        docOf({
          executionSuccess: true,
          nReturned: int(returned),
          executionTimeMillis: int(0),
          totalKeysExamined: int(plan?.index ? candidates.length : 0),
          totalDocsExamined: int(candidates.length),
          executionStages: winner,
        }),
      );
    }
    answer.set('command', inner);
    answer.set('serverInfo', engine.serverInfo());
    return answer;
  },
};

function explainedQuery(name: string, inner: Doc): Doc {
  const first = (list: string): Value | undefined => {
    const items = inner.get(list);
    return Array.isArray(items) && isDoc(items[0]) ? items[0].get('q') : undefined;
  };
  switch (name) {
    case 'find':
      return requireDoc(inner.get('filter') ?? EMPTY, 'filter');
    case 'count':
    case 'distinct':
    case 'findAndModify':
      return requireDoc(inner.get('query') ?? EMPTY, 'query');
    case 'update':
      return requireDoc(first('updates') ?? EMPTY, 'q');
    case 'delete':
      return requireDoc(first('deletes') ?? EMPTY, 'q');
    case 'aggregate': {
      const pipeline = inner.get('pipeline');
      const stage = Array.isArray(pipeline) && isDoc(pipeline[0]) ? pipeline[0].get('$match') : undefined;
      return isDoc(stage) ? stage : EMPTY;
    }
    default:
      throw new ServerError(59, `Explain failed due to unknown command: ${name}`);
  }
}

function stageOf(index: DocIndex | null, query: Doc, empty: boolean, sorts: boolean): Doc {
  const scan = empty
    ? docOf({ stage: 'EOF' })
    : index
      ? docOf({
          stage: 'FETCH',
          filter: query,
          inputStage: docOf({
            stage: 'IXSCAN',
            keyPattern: index.spec.key,
            indexName: index.spec.name,
            isMultiKey: index.multikey,
            isUnique: index.spec.unique,
            isSparse: index.spec.sparse,
            isPartial: index.spec.partial !== null,
            direction: 'forward',
          }),
        })
      : docOf({ stage: 'COLLSCAN', filter: query, direction: 'forward' });
  return sorts ? docOf({ stage: 'SORT', inputStage: scan }) : scan;
}

export const readCommands: Readonly<Record<string, Command>> = { find, getMore, killCursors, count, distinct, explain };

/** True when a flag of a nested document is set. */
export function flag(doc: Doc, name: string): boolean {
  return truthy(doc.get(name));
}
