import { Binary } from 'bson';
import { randomBytes } from 'node:crypto';
import { compactionDue, openWal, RECORD_OVERHEAD } from '../../../../src/wal/wal.js';
import { decode } from '../bson/decode.js';
import { encode } from '../bson/encode.js';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { docOf, type Doc } from '../bson/value.js';
import { Collection, ID_INDEX } from './collection.js';
import { describeIndex, parseIndexSpec, type IndexSpec } from './index-spec.js';
import { CHANGE, decodeChange, encodeChange, type Change, type Journal } from './journal.js';
import type { StoredDoc } from './record.js';

export const MAX_DOC_BYTES = 16 * 1024 * 1024;
/** Head of a journal record beside namespace and payload, for the estimate of live bytes. */
const CHANGE_OVERHEAD = 3 + RECORD_OVERHEAD;

export interface StoreEvents {
  readonly onRepair?: (text: string) => void;
  readonly onFailed?: (error: Error) => void;
  readonly onCompaction?: (error: unknown) => void;
}

/** All databases: in memory, every change journaled before anyone is told of it. */
export class Store {
  private readonly collections = new Map<string, Collection>();

  private constructor(
    private readonly journal: Journal,
    private readonly events: StoreEvents,
  ) {}

  /** Opens the data folder and replays its journal. @throws FailureError of kind data-dir or disk-full */
  static async open(dataDir: string, events: StoreEvents = {}): Promise<Store> {
    const replayed = new Map<string, Collection>();
    const journal = await openWal(dataDir, {
      onRecord: (record) => replay(replayed, record),
      ...(events.onRepair ? { onRepair: events.onRepair } : {}),
      ...(events.onFailed ? { onFailed: events.onFailed } : {}),
    });
    const store = new Store(journal, events);
    for (const [namespace, collection] of replayed) store.collections.set(namespace, collection);
    return store;
  }

  get(namespace: string): Collection | undefined {
    return this.collections.get(namespace);
  }

  all(): IterableIterator<Collection> {
    return this.collections.values();
  }

  databaseNames(): string[] {
    return [...new Set([...this.collections.keys()].map((namespace) => databaseOf(namespace)))].sort();
  }

  inDatabase(database: string): Collection[] {
    return [...this.collections.values()].filter((collection) => databaseOf(collection.namespace) === database);
  }

  /** The collection, made when it is not there. */
  need(namespace: string): Collection {
    return this.collections.get(namespace) ?? this.create(namespace, new Map());
  }

  create(namespace: string, options: Doc): Collection {
    this.assertWritable();
    checkNamespace(namespace);
    const uuid = randomBytes(16);
    uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x40;
    uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80;
    const collection = new Collection(namespace, docOf({ options, uuid: new Binary(uuid, 4) }));
    this.collections.set(namespace, collection);
    this.record(CHANGE.create, namespace, encode(collection.options));
    return collection;
  }

  drop(collection: Collection): void {
    this.assertWritable();
    this.collections.delete(collection.namespace);
    this.record(CHANGE.drop, collection.namespace, Buffer.alloc(0));
  }

  rename(collection: Collection, to: string): void {
    this.assertWritable();
    checkNamespace(to);
    this.record(CHANGE.rename, collection.namespace, Buffer.from(to));
    this.collections.delete(collection.namespace);
    collection.namespace = to;
    this.collections.set(to, collection);
  }

  /** `doc` has its `_id` in front. */
  insert(collection: Collection, doc: Doc, encoded?: Buffer): void {
    this.assertWritable();
    const bytes = encoded ?? encode(doc);
    checkSize(bytes);
    collection.insert(bytes, doc);
    this.record(CHANGE.put, collection.namespace, bytes);
  }

  /** False: nothing changed. */
  replace(collection: Collection, old: StoredDoc, doc: Doc): boolean {
    this.assertWritable();
    const bytes = encode(doc);
    if (bytes.equals(old.bytes)) return false;
    checkSize(bytes);
    collection.replace(old, bytes, doc);
    this.record(CHANGE.put, collection.namespace, bytes);
    return true;
  }

  remove(collection: Collection, record: StoredDoc): void {
    this.assertWritable();
    collection.remove(record);
    this.record(CHANGE.remove, collection.namespace, encode(new Map([['_id', record.doc.get('_id') ?? null]])));
  }

  addIndex(collection: Collection, spec: IndexSpec): void {
    this.assertWritable();
    collection.addIndex(spec);
    this.record(CHANGE.addIndex, collection.namespace, encode(describeIndex(spec)));
  }

  dropIndex(collection: Collection, name: string): void {
    this.assertWritable();
    collection.dropIndex(name);
    this.record(CHANGE.dropIndex, collection.namespace, Buffer.from(name));
  }

  /** New options of an index: TTL, hidden. */
  changeIndex(collection: Collection, spec: IndexSpec): void {
    this.assertWritable();
    const index = collection.indexNamed(spec.name);
    if (!index) return;
    index.spec = spec;
    this.record(CHANGE.addIndex, collection.namespace, encode(describeIndex(spec)));
  }

  /** Resolves when every change so far survives kill -9; `disk`: a power cut, too. */
  async durable(disk: boolean): Promise<void> {
    await (disk ? this.journal.synced() : this.journal.written());
  }

  close(): Promise<void> {
    return this.journal.close();
  }

  private assertWritable(): void {
    const { failure } = this.journal;
    if (failure)
      throw new ServerError(
        14031,
        `the embedded server is read-only since a write to its journal failed: ${failure.message}`,
      );
  }

  private record(change: Change, namespace: string, payload: Buffer): void {
    this.journal.append(encodeChange(change, namespace, payload));
    if (compactionDue(this.journal, this.liveBytes())) {
      this.journal.snapshot(this.state()).catch((error: unknown) => this.events.onCompaction?.(error));
    }
  }

  private liveBytes(): number {
    let bytes = 0;
    for (const collection of this.collections.values()) {
      bytes += collection.bytes + collection.docs.size * (CHANGE_OVERHEAD + collection.namespace.length);
    }
    return bytes;
  }

  /** Everything, as the changes that make it; drawn over a copy, since writes go on meanwhile. */
  private state(): Iterable<readonly Buffer[]> {
    const copy = [...this.collections.values()].map((collection) => ({
      namespace: collection.namespace,
      options: encode(collection.options),
      indexes: collection.indexes.slice(1).map((index) => encode(describeIndex(index.spec))),
      records: [...collection.docs.values()],
    }));
    return (function* changes() {
      for (const { namespace, options, indexes, records } of copy) {
        yield encodeChange(CHANGE.create, namespace, options);
        for (const index of indexes) yield encodeChange(CHANGE.addIndex, namespace, index);
        for (const record of records) yield encodeChange(CHANGE.put, namespace, record.bytes);
      }
    })();
  }
}

export function databaseOf(namespace: string): string {
  const dot = namespace.indexOf('.');
  return dot < 0 ? namespace : namespace.slice(0, dot);
}

function checkSize(bytes: Buffer): void {
  if (bytes.length > MAX_DOC_BYTES) {
    throw new ServerError(
      10334,
      `BSONObj size: ${bytes.length} is invalid. Size must be between 0 and ${MAX_DOC_BYTES}`,
    );
  }
}

/** @throws ServerError 73 InvalidNamespace */
export function checkNamespace(namespace: string): void {
  const database = databaseOf(namespace);
  const collection = namespace.slice(database.length + 1);
  const wrong = (why: string): ServerError => new ServerError(73, `Invalid namespace specified '${namespace}': ${why}`);
  if (database === '' || /[/\\. "$\0]/.test(database) || database.length > 63) throw wrong('the database name');
  if (collection === '') throw wrong('the collection name is empty');
  if (collection.includes('$') || collection.includes('\0') || collection.startsWith('.') || collection.endsWith('.'))
    throw wrong('the collection name');
  if (Buffer.byteLength(namespace) > 255) throw wrong('it is longer than 255 bytes');
  if (collection.startsWith('system.')) throw notImplemented(`The collection ${collection}`);
}

function replay(collections: Map<string, Collection>, record: Buffer): void {
  const { change, namespace, payload } = decodeChange(record);
  if (change === CHANGE.create) {
    collections.set(namespace, new Collection(namespace, decode(payload)));
    return;
  }
  const collection = collections.get(namespace);
  if (!collection) throw new ServerError(1, `the journal changes the collection ${namespace}, which it never made`);
  switch (change) {
    case CHANGE.put: {
      const doc = decode(payload);
      const old = collection.byId(doc.get('_id') ?? null);
      if (old) collection.replace(old, payload, doc);
      else collection.insert(payload, doc);
      return;
    }
    case CHANGE.remove: {
      const old = collection.byId(decode(payload).get('_id') ?? null);
      if (old) collection.remove(old);
      return;
    }
    case CHANGE.drop:
      collections.delete(namespace);
      return;
    case CHANGE.addIndex: {
      const spec = parseIndexSpec(decode(payload));
      const known = collection.indexNamed(spec.name);
      if (known) known.spec = spec;
      else if (spec.name !== ID_INDEX) collection.addIndex(spec);
      return;
    }
    case CHANGE.dropIndex:
      collection.dropIndex(payload.toString());
      return;
    case CHANGE.rename:
      collections.delete(namespace);
      collection.namespace = payload.toString();
      collections.set(collection.namespace, collection);
      return;
    default:
      throw new ServerError(1, `the journal holds a change of unknown kind ${change}: was it written by a newer memt?`);
  }
}
