import { encode } from '../bson/encode.js';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { docOf, integer, isDoc, type Doc, type Value } from '../bson/value.js';
import { compileStages, type PipelineContext } from '../aggregate/pipeline.js';
import { stageOf } from '../aggregate/single.js';
import { truthy } from '../aggregate/expression.js';
import { compileMatch } from '../query/match.js';
import type { Engine } from '../engine.js';
import type { Collection } from '../store/collection.js';
import { describeIndex } from '../store/index-spec.js';
import { arrayArg, checkCollation, countArg, docArg, missing, namespaceOf, type Command } from './command.js';
import { EMPTY, hintOf, letVariables, select } from './read.js';
import { collectionStats } from './stats.js';

const aggregate: Command = {
  args: ['pipeline', 'cursor', 'explain', 'allowDiskUse', 'bypassDocumentValidation', 'collation', 'hint', 'let'],
  run: (request, engine) => {
    checkCollation(request.body);
    if (truthy(request.body.get('explain')))
      throw notImplemented("The option 'explain' of aggregate (use the explain command)");
    const pipeline = arrayArg(request, 'pipeline');
    if (!pipeline) throw missing(request, 'pipeline');
    if (!request.body.has('cursor'))
      throw new ServerError(9, "The 'cursor' option is required, except for aggregate with the explain argument");
    const batchSize = countArg(docArg(request, 'cursor') ?? EMPTY, 'batchSize');
    if (typeof request.body.get('aggregate') !== 'string') {
      const [name = 'nothing'] = pipeline.map((stage) => stageOf(stage)[0]);
      throw notImplemented(`The aggregation stage ${name} on a whole database`);
    }
    const namespace = namespaceOf(request);
    const collection = engine.store.get(namespace);
    const variables = letVariables(request);
    const context: PipelineContext = {
      variables,
      checkTime: request.checkTime,
      read: (name, query) =>
        select(engine.store.get(`${request.database}.${name}`), { query, matches: compileMatch(query) }).map(
          (record) => record.doc,
        ),
      describe: (stage, operand) => describe(stage, operand, collection, engine),
    };
    const run = compileStages(pipeline, context);
    const query = leadingMatch(pipeline);
    const records = describes(pipeline)
      ? []
      : select(collection, {
          query,
          matches: compileMatch(query, variables),
          hint: hintOf(collection, request.body),
          limit: leadingLimit(pipeline),
          checkTime: request.checkTime,
        });
    const results = run(records.map((record) => record.doc));
    return engine.cursors.first(namespace, results, encode, { batchSize });
  },
};

function describes(pipeline: readonly Value[]): boolean {
  const first = pipeline[0];
  return isDoc(first) && (first.has('$collStats') || first.has('$indexStats'));
}

/** The filter that may use an index before the pipeline runs. */
function leadingMatch(pipeline: readonly Value[]): Doc {
  const first = pipeline[0];
  const query = isDoc(first) ? first.get('$match') : undefined;
  return isDoc(query) ? query : EMPTY;
}

/** A pipeline that begins with a limit needs no more documents than that. */
function leadingLimit(pipeline: readonly Value[]): number {
  const first = pipeline[0];
  const limit = isDoc(first) ? first.get('$limit') : undefined;
  return limit === undefined ? Infinity : Number(limit);
}

function describe(stage: string, operand: Value, collection: Collection | undefined, engine: Engine): Doc[] {
  if (!collection) {
    if (stage === '$indexStats') return [];
    throw new ServerError(26, 'Unable to retrieve statistics in $collStats stage :: caused by :: Collection not found');
  }
  if (stage === '$indexStats') {
    return collection.indexes.map((index) =>
      docOf({
        name: index.spec.name,
        key: index.spec.key,
        host: engine.host(),
        accesses: docOf({ ops: 0n, since: engine.startedAt }),
        spec: describeIndex(index.spec),
      }),
    );
  }
  const answer = docOf({ ns: collection.namespace, host: engine.host(), localTime: new Date() });
  const wanted = isDoc(operand) ? operand : EMPTY;
  for (const name of wanted.keys()) {
    if (name === 'storageStats') answer.set(name, collectionStats(collection));
    else if (name === 'count') answer.set(name, integer(collection.docs.size));
    else throw notImplemented(`$collStats with '${name}'`);
  }
  return [answer];
}

export const aggregateCommands: Readonly<Record<string, Command>> = { aggregate };
