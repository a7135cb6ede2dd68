import { encode } from '../bson/encode.js';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { docOf, int, integer, isDoc, type Doc } from '../bson/value.js';
import { equal, keyOf } from '../bson/order.js';
import { truthy } from '../aggregate/expression.js';
import { compileMatch } from '../query/match.js';
import type { Collection } from '../store/collection.js';
import { ID_INDEX } from '../store/collection.js';
import { describeIndex, expiryOf, isIdKey, parseIndexSpec, type IndexSpec } from '../store/index-spec.js';
import { checkNamespace } from '../store/store.js';
import type { Engine } from '../engine.js';
import {
  arrayArg,
  boolArg,
  checkCollation,
  countArg,
  docArg,
  missing,
  namespaceOf,
  refuseArgs,
  wrongType,
  type Command,
  type Request,
} from './command.js';
import { EMPTY } from './read.js';

const create: Command = {
  args: 'capped autoIndexId idIndex size max storageEngine validator validationLevel validationAction indexOptionDefaults viewOn pipeline collation timeseries expireAfterSeconds clusteredIndex changeStreamPreAndPostImages encryptedFields'.split(
    ' ',
  ),
  writes: true,
  run: (request, engine) => {
    refuseArgs(request, [
      'capped',
      'validator',
      'viewOn',
      'timeseries',
      'clusteredIndex',
      'changeStreamPreAndPostImages',
      'encryptedFields',
      'storageEngine',
      'expireAfterSeconds',
    ]);
    checkCollation(request.body);
    const namespace = namespaceOf(request);
    if (engine.store.get(namespace)) {
      // Creating the same collection again is no error on a 7.0 server.
      return new Map();
    }
    engine.store.create(namespace, new Map());
    return new Map();
  },
};

const drop: Command = {
  args: [],
  writes: true,
  run: (request, engine) => {
    const namespace = namespaceOf(request);
    const collection = engine.store.get(namespace);
    // Dropping what is not there is no error on a 7.0 server.
    if (!collection) return new Map();
    engine.store.drop(collection);
    return docOf({ nIndexesWas: int(collection.indexes.length), ns: namespace });
  },
};

const dropDatabase: Command = {
  args: [],
  writes: true,
  run: (request, engine) => {
    const collections = engine.store.inDatabase(request.database);
    for (const collection of collections) engine.store.drop(collection);
    return collections.length > 0 ? docOf({ dropped: request.database }) : new Map();
  },
};

const renameCollection: Command = {
  args: ['to', 'dropTarget'],
  writes: true,
  run: (request, engine) => {
    if (request.database !== 'admin')
      throw new ServerError(13, 'renameCollection may only be run against the admin database.');
    const [from, to] = [request.body.get('renameCollection'), request.body.get('to')];
    if (typeof from !== 'string' || typeof to !== 'string')
      throw wrongType('renameCollection.to', to ?? null, 'string');
    checkNamespace(to);
    const source = engine.store.get(from);
    if (!source) throw new ServerError(26, `Source collection ${from} does not exist`);
    if (from === to) throw new ServerError(20, "Can't rename a collection to itself");
    const target = engine.store.get(to);
    if (target && !truthy(request.body.get('dropTarget'))) throw new ServerError(48, 'target namespace exists');
    if (target) engine.store.drop(target);
    engine.store.rename(source, to);
    return new Map();
  },
};

/** Options of an index that may change; everything else of collMod is refused by name. */
const collMod: Command = {
  args: [
    'index',
    'validator',
    'validationLevel',
    'validationAction',
    'viewOn',
    'pipeline',
    'expireAfterSeconds',
    'changeStreamPreAndPostImages',
    'cappedSize',
    'cappedMax',
    'dryRun',
  ],
  writes: true,
  run: (request, engine) => {
    refuseArgs(request, [
      'validator',
      'validationLevel',
      'validationAction',
      'viewOn',
      'pipeline',
      'expireAfterSeconds',
      'changeStreamPreAndPostImages',
      'cappedSize',
      'cappedMax',
      'dryRun',
    ]);
    const collection = engine.needExisting(namespaceOf(request));
    const wanted = docArg(request, 'index');
    if (!wanted) return new Map();
    for (const name of wanted.keys()) {
      if (['unique', 'prepareUnique'].includes(name)) throw notImplemented(`The option 'index.${name}' of collMod`);
      if (!['keyPattern', 'name', 'expireAfterSeconds', 'hidden'].includes(name))
        throw new ServerError(40415, `BSON field 'collMod.index.${name}' is an unknown field.`);
    }
    const pattern = wanted.get('keyPattern');
    const index = collection.indexes.find(
      (item) => item.spec.name === wanted.get('name') || (isDoc(pattern) && equal(item.spec.key, pattern)),
    );
    if (!index) throw new ServerError(27, `cannot find index for ns ${collection.namespace}`);
    const old = index.spec;
    const seconds = wanted.has('expireAfterSeconds')
      ? expiryOf(wanted.get('expireAfterSeconds'), old.fields.length)
      : old.expireAfterSeconds;
    const hidden = wanted.has('hidden') ? truthy(wanted.get('hidden')) : old.hidden;
    if (hidden && old.name === ID_INDEX) throw new ServerError(2, "can't hide _id index");
    engine.store.changeIndex(collection, { ...old, expireAfterSeconds: seconds, hidden });
    const answer = new Map<string, unknown>();
    if (wanted.has('expireAfterSeconds')) {
      if (old.expireAfterSeconds !== null) answer.set('expireAfterSeconds_old', integer(old.expireAfterSeconds));
      answer.set('expireAfterSeconds_new', integer(seconds ?? 0));
    }
    if (wanted.has('hidden')) answer.set('hidden_old', old.hidden).set('hidden_new', hidden);
    return answer;
  },
};

const createIndexes: Command = {
  args: ['indexes', 'ignoreUnknownIndexOptions', 'commitQuorum'],
  writes: true,
  run: (request, engine) => {
    if (request.body.has('commitQuorum'))
      throw new ServerError(
        2,
        'commitQuorum is supported only for two phase index builds with commit quorum support enabled',
      );
    const namespace = namespaceOf(request);
    const given = arrayArg(request, 'indexes');
    if (!given) throw missing(request, 'indexes');
    if (given.length === 0) throw new ServerError(2, 'Must specify at least one index to create');
    const specs = given.map(parseIndexSpec);
    const created = engine.store.get(namespace) === undefined;
    const collection = engine.store.need(namespace);
    const before = collection.indexes.length;
    for (const spec of specs) if (!exists(collection, spec)) engine.store.addIndex(collection, spec);
    const after = collection.indexes.length;
    return docOf({
      numIndexesBefore: int(before),
      numIndexesAfter: int(after),
      createdCollectionAutomatically: created ? true : undefined,
      note: before === after ? 'all indexes already exist' : undefined,
    });
  },
};

/** True when the same index is there already. @throws ServerError 85 / 86 when one like it is, with other options */
function exists(collection: Collection, spec: IndexSpec): boolean {
  if (isIdKey(spec.key)) return true;
  const named = collection.indexNamed(spec.name);
  const described = keyOf(describeIndex(spec));
  if (named) {
    if (keyOf(describeIndex(named.spec)) === described) return true;
    throw new ServerError(
      equal(named.spec.key, spec.key) ? 85 : 86,
      `An equivalent index already exists with the same name but different options. Requested index: ${spec.name}`,
    );
  }
  const partial = spec.partial ? keyOf(spec.partial) : '';
  const alike = collection.indexes.find(
    (index) =>
      equal(index.spec.key, spec.key) &&
      (index.spec.partial ? keyOf(index.spec.partial) : '') === partial &&
      index.spec.unique === spec.unique &&
      index.spec.sparse === spec.sparse,
  );
  if (alike) throw new ServerError(85, `Index already exists with a different name: ${alike.spec.name}`);
  return false;
}

const dropIndexes: Command = {
  args: ['index'],
  writes: true,
  run: (request, engine) => {
    const collection = engine.needExisting(namespaceOf(request));
    const wanted = request.body.get('index');
    if (wanted === undefined) throw missing(request, 'index');
    const before = collection.indexes.length;
    const names =
      wanted === '*'
        ? collection.indexes.slice(1).map((index) => index.spec.name)
        : (Array.isArray(wanted) ? wanted : [wanted]).map((item) => {
            const found = isDoc(item)
              ? collection.indexes.find((index) => equal(index.spec.key, item))
              : typeof item === 'string'
                ? collection.indexNamed(item)
                : undefined;
            if (!found)
              throw new ServerError(
                27,
                typeof item === 'string' ? `index not found with name [${item}]` : "can't find index with key",
              );
            if (found.spec.name === ID_INDEX) throw new ServerError(72, 'cannot drop _id index');
            return found.spec.name;
          });
    for (const name of names) engine.store.dropIndex(collection, name);
    return docOf({
      nIndexesWas: int(before),
      msg: wanted === '*' ? 'non-_id indexes dropped for collection' : undefined,
    });
  },
};

const listCollections: Command = {
  args: ['filter', 'nameOnly', 'authorizedCollections', 'cursor'],
  run: (request, engine) => {
    const matches = compileMatch(docArg(request, 'filter') ?? EMPTY);
    const nameOnly = boolArg(request, 'nameOnly');
    const described = engine.store
      .inDatabase(request.database)
      .map((collection) => describeCollection(collection))
      .filter((doc) => matches(doc));
    const shown = nameOnly
      ? described.map((doc) => docOf({ name: doc.get('name'), type: doc.get('type') }))
      : described;
    return engine.cursors.first(`${request.database}.$cmd.listCollections`, shown, encode, {
      batchSize: countArg(docArg(request, 'cursor') ?? EMPTY, 'batchSize'),
    });
  },
};

function describeCollection(collection: Collection): Doc {
  const name = collection.namespace.slice(collection.namespace.indexOf('.') + 1);
  const [id] = collection.indexes;
  return docOf({
    name,
    type: 'collection',
    options: collection.options.get('options') ?? EMPTY,
    info: docOf({ readOnly: false, uuid: collection.options.get('uuid') }),
    idIndex: id ? describeIndex(id.spec) : undefined,
  });
}

const listDatabases: Command = {
  args: ['filter', 'nameOnly', 'authorizedDatabases'],
  run: (request, engine) => listedDatabases(request, engine),
};

function listedDatabases(request: Request, engine: Engine): Doc {
  if (request.database !== 'admin')
    throw new ServerError(13, 'listDatabases may only be run against the admin database.');
  const nameOnly = boolArg(request, 'nameOnly');
  const matches = compileMatch(docArg(request, 'filter') ?? EMPTY);
  let total = 0;
  const databases = engine.store.databaseNames().map((name) => {
    const size = engine.store.inDatabase(name).reduce((bytes, collection) => bytes + collection.bytes, 0);
    total += size;
    return docOf({ name, sizeOnDisk: BigInt(size), empty: false });
  });
  const shown = databases
    .filter((doc) => matches(doc))
    .map((doc) => (nameOnly ? docOf({ name: doc.get('name') }) : doc));
  return nameOnly
    ? docOf({ databases: shown })
    : docOf({ databases: shown, totalSize: BigInt(total), totalSizeMb: BigInt(Math.floor(total / 1048576)) });
}

export const catalogCommands: Readonly<Record<string, Command>> = {
  create,
  drop,
  dropDatabase,
  renameCollection,
  collMod,
  createIndexes,
  dropIndexes,
  deleteIndexes: dropIndexes,
  listCollections,
  listDatabases,
};
