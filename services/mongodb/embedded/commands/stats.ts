import { encode } from '../bson/encode.js';
import { docOf, int, integer, type Doc } from '../bson/value.js';
import type { Collection } from '../store/collection.js';
import { describeIndex } from '../store/index-spec.js';
import { namespaceOf, type Command } from './command.js';

export function collectionStats(collection: Collection | undefined, scale = 1): Doc {
  const count = collection?.docs.size ?? 0;
  const size = collection?.bytes ?? 0;
  const indexes = collection?.indexes ?? [];
  const scaled = (bytes: number) => integer(Math.floor(bytes / scale));
  return docOf({
    size: scaled(size),
    count: integer(count),
    avgObjSize: count === 0 ? undefined : integer(Math.floor(size / count)),
    storageSize: scaled(size),
    freeStorageSize: int(0),
    capped: false,
    nindexes: int(indexes.length),
    totalIndexSize: int(0),
    totalSize: scaled(size),
    indexSizes: new Map(indexes.map((index) => [index.spec.name, int(0)])),
    scaleFactor: integer(scale),
  });
}

function scaleOf(body: Doc): number {
  return Math.max(1, Math.trunc(Number(body.get('scale') ?? 1)) || 1);
}

const collStats: Command = {
  args: ['scale'],
  run: (request, engine) => {
    const namespace = namespaceOf(request);
    return new Map([['ns', namespace], ...collectionStats(engine.store.get(namespace), scaleOf(request.body))]);
  },
};

const dbStats: Command = {
  args: ['scale', 'freeStorage'],
  run: (request, engine) => {
    const collections = engine.store.inDatabase(request.database);
    const sum = (of: (collection: Collection) => number) =>
      collections.reduce((total, collection) => total + of(collection), 0);
    const scale = scaleOf(request.body);
    const bytes = sum((collection) => collection.bytes);
    const objects = sum((collection) => collection.docs.size);
    return docOf({
      db: request.database,
      collections: integer(collections.length),
      views: int(0),
      objects: integer(objects),
      avgObjSize: objects === 0 ? 0 : bytes / objects,
      dataSize: bytes / scale,
      storageSize: bytes / scale,
      indexes: integer(sum((collection) => collection.indexes.length)),
      indexSize: 0,
      totalSize: bytes / scale,
      scaleFactor: integer(scale),
    });
  },
};

/** Walks every document and index entry of a collection. */
const validate: Command = {
  args: ['full', 'repair', 'metadata', 'checkBSONConformance', 'background'],
  run: (request, engine) => {
    const namespace = namespaceOf(request);
    const collection = engine.store.get(namespace);
    const records = [...(collection?.docs.values() ?? [])];
    const errors = records.filter((record) => !encode(record.doc).equals(record.bytes)).length;
    const indexes = collection?.indexes ?? [];
    return docOf({
      ns: namespace,
      nInvalidDocuments: integer(errors),
      nrecords: integer(records.length),
      nIndexes: int(indexes.length),
      keysPerIndex: new Map(indexes.map((index) => [index.spec.name, integer(index.entries.size)])),
      valid: errors === 0,
      errors: errors === 0 ? [] : [`${errors} documents do not read back as they were written`],
      warnings: [],
    });
  },
};

const listIndexes: Command = {
  args: ['cursor'],
  run: (request, engine) => {
    const namespace = namespaceOf(request);
    const collection = engine.needExisting(namespace);
    return engine.cursors.first(namespace, collection.indexes, (index) => encode(describeIndex(index.spec)), {
      batchSize: undefined,
    });
  },
};

export const statsCommands: Readonly<Record<string, Command>> = {
  collStats,
  collstats: collStats,
  dbStats,
  dbstats: dbStats,
  validate,
  listIndexes,
};
