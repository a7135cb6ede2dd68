import { show } from '../bson/show.js';
import { ServerError } from '../bson/server-error.js';
import { keyOf } from '../bson/order.js';
import { docOf, type Doc, type Value } from '../bson/value.js';
import { DocIndex } from './doc-index.js';
import type { IndexSpec } from './index-spec.js';
import { plan, type Plan } from './planner.js';
import { StoredDoc } from './record.js';
import type { SortField } from '../query/sort.js';

/** Index name of `_id`. */
export const ID_INDEX = '_id_';

const ID_SPEC: IndexSpec = {
  name: ID_INDEX,
  key: docOf({ _id: 1 }),
  fields: [{ name: '_id', direction: 1 }],
  unique: true,
  sparse: false,
  hidden: false,
  partial: null,
  expireAfterSeconds: null,
};

/** The documents and indexes of one collection, in memory. Changes here are not journaled: Store does that. */
export class Collection {
  /** By `_id`, in natural order. */
  readonly docs = new Map<string, StoredDoc>();
  readonly indexes: DocIndex[] = [new DocIndex(ID_SPEC)];
  /** BSON bytes of all documents. */
  bytes = 0;
  private sequence = 0;

  constructor(
    public namespace: string,
    /** As given to `create`, with the collection's uuid. */
    readonly options: Doc,
  ) {}

  byId(id: Value): StoredDoc | undefined {
    return this.docs.get(keyOf(id));
  }

  /** @throws ServerError 11000 when a unique index has its key already */
  insert(bytes: Buffer, doc: Doc): void {
    const id = doc.get('_id');
    const key = keyOf(id);
    if (this.docs.has(key)) throw this.duplicate(this.indexes[0] ?? new DocIndex(ID_SPEC), [id ?? null]);
    this.put(new StoredDoc(bytes, (this.sequence += 1)), key, doc, null);
  }

  replace(old: StoredDoc, bytes: Buffer, doc: Doc): void {
    this.put(new StoredDoc(bytes, old.sequence), keyOf(doc.get('_id')), doc, old);
  }

  private put(record: StoredDoc, id: string, doc: Doc, old: StoredDoc | null): void {
    const keys = this.indexes.map((index) => {
      const own = index.keysOf(doc);
      if (index.spec.unique && !(index.spec.name === ID_INDEX))
        for (const key of own) if (index.holderOf(key, old)) throw this.duplicate(index, key);
      return own;
    });
    if (old) this.unindex(old);
    this.docs.set(id, record);
    for (const [at, index] of this.indexes.entries()) index.add(record, keys[at] ?? []);
    this.bytes += record.bytes.length;
  }

  remove(record: StoredDoc): void {
    this.unindex(record);
    this.docs.delete(keyOf(record.doc.get('_id')));
  }

  private unindex(record: StoredDoc): void {
    for (const index of this.indexes) index.remove(record);
    this.bytes -= record.bytes.length;
  }

  indexNamed(name: string): DocIndex | undefined {
    return this.indexes.find((index) => index.spec.name === name);
  }

  /** Builds an index over what is there. @throws ServerError 11000, leaving the collection as it was */
  addIndex(spec: IndexSpec): void {
    const index = new DocIndex(spec);
    for (const record of this.docs.values()) {
      const keys = index.keysOf(record.doc);
      if (spec.unique) for (const key of keys) if (index.holderOf(key, record)) throw this.duplicate(index, key);
      index.add(record, keys);
    }
    this.indexes.push(index);
  }

  dropIndex(name: string): void {
    const at = this.indexes.findIndex((index) => index.spec.name === name);
    if (at > 0) this.indexes.splice(at, 1);
  }

  plan(query: Doc, sort: readonly SortField[] = [], hint: DocIndex | 'natural' | null = null): Plan {
    const id = query.get('_id');
    const byId = hint === null && id !== undefined && isPlainId(id) ? [...one(this.byId(id))] : null;
    if (byId) return { index: this.indexes[0] ?? null, candidates: byId, sorted: true };
    return plan(query, sort, this.indexes, () => this.docs.values(), hint);
  }

  private duplicate(index: DocIndex, key: readonly Value[]): ServerError {
    const keyValue: Doc = new Map(index.spec.fields.map((field, at) => [field.name, key[at] ?? null]));
    const shown = [...keyValue].map(([name, value]) => `${name}: ${show(value)}`).join(', ');
    return new ServerError(
      11000,
      `E11000 duplicate key error collection: ${this.namespace} index: ${index.spec.name} dup key: { ${shown} }`,
      docOf({ keyPattern: index.spec.key, keyValue }),
    );
  }
}

function* one<T>(item: T | undefined): Generator<T> {
  if (item !== undefined) yield item;
}

function isPlainId(id: Value): boolean {
  if (id === null || typeof id !== 'object') return id !== null;
  return '_bsontype' in id && ['ObjectId', 'Int32', 'Binary', 'Decimal128', 'Timestamp'].includes(id._bsontype);
}
