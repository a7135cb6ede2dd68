import { ServerError } from '../bson/server-error.js';
import { compare, keyOf } from '../bson/order.js';
import type { Doc, Value } from '../bson/value.js';
import { compileMatch, type Predicate } from '../query/match.js';
import { splitPath, visitPath, type Path } from '../query/path.js';
import type { IndexSpec } from './index-spec.js';
import type { StoredDoc } from './record.js';
import { SortedList } from './sorted-list.js';

export interface Entry {
  readonly key: readonly Value[];
  readonly record: StoredDoc;
}

/** One index: the keys of every document that belongs in it, in order. */
export class DocIndex {
  readonly entries: SortedList<Entry>;
  /** True once any document had several keys: bounds of one field may then not be combined. */
  multikey = false;
  private readonly paths: readonly Path[];
  private readonly partial: Predicate | null;

  constructor(public spec: IndexSpec) {
    this.paths = spec.fields.map((field) => splitPath(field.name));
    this.partial = spec.partial ? compileMatch(spec.partial) : null;
    this.entries = new SortedList(
      (a, b) => this.compareKeys(a.key, b.key, a.key.length) || a.record.sequence - b.record.sequence,
    );
  }

  /** Compares the first `length` fields in the index's own directions. */
  compareKeys(a: readonly Value[], b: readonly Value[], length: number): number {
    for (let index = 0; index < length; index += 1) {
      const order = compare(a[index], b[index]);
      if (order !== 0) return this.spec.fields[index]?.direction === -1 ? -order : order;
    }
    return 0;
  }

  /** The keys of a document: none when sparse or partial leaves it out, several for arrays. */
  keysOf(doc: Doc): readonly (readonly Value[])[] {
    if (this.partial && !this.partial(doc)) return [];
    const [only] = this.paths;
    const [name] = only ?? [];
    if (this.paths.length === 1 && only?.length === 1 && name !== undefined) {
      const value = doc.get(name);
      if (!Array.isArray(value)) return value === undefined && this.spec.sparse ? [] : [[value ?? null]];
    }
    const columns = this.paths.map((path) => valuesAt(doc, path));
    if (this.spec.sparse && columns.every((column) => column.missing)) return [];
    if (columns.filter((column) => column.array !== null).length > 1) {
      const roots = new Set(columns.filter((column) => column.array !== null).map((column) => column.array));
      if (roots.size > 1) throw new ServerError(171, `cannot index parallel arrays in index ${this.spec.name}`);
    }
    return columns.reduce<Value[][]>(
      (keys, column) => keys.flatMap((key) => column.values.map((value) => [...key, value])),
      [[]],
    );
  }

  /** A record other than `own` that has this key. */
  holderOf(key: readonly Value[], own: StoredDoc | null): StoredDoc | null {
    for (const entry of this.entries.from((item) => this.compareKeys(item.key, key, key.length))) {
      if (this.compareKeys(entry.key, key, key.length) !== 0) return null;
      if (entry.record !== own) return entry.record;
    }
    return null;
  }

  add(record: StoredDoc, keys: readonly (readonly Value[])[]): void {
    if (keys.length > 1) this.multikey = true;
    for (const key of keys) this.entries.add({ key, record });
  }

  remove(record: StoredDoc): void {
    for (const key of this.keysOf(record.doc)) this.entries.remove({ key, record });
  }
}

interface Column {
  readonly values: readonly Value[];
  readonly missing: boolean;
  /** Name of the array that gave several values; null when there was none. */
  readonly array: string | null;
}

function valuesAt(doc: Doc, path: Path): Column {
  const found = new Map<string, Value>();
  let missing = true;
  const add = (value: Value): void => {
    const key = keyOf(value);
    if (!found.has(key)) found.set(key, value);
  };
  visitPath(doc, path, false, (value) => {
    if (value !== undefined) missing = false;
    if (Array.isArray(value)) {
      // An empty array has no element: it is found under null, and the query tells the rest.
      if (value.length === 0) add(null);
      else value.forEach(add);
    } else add(value ?? null);
    return false;
  });
  if (found.size === 0) add(null);
  return { values: [...found.values()], missing, array: firstArray(doc, path) };
}

function firstArray(doc: Doc, path: Path): string | null {
  let value: Value | undefined = doc;
  let name = '';
  for (const part of path) {
    if (!(value instanceof Map)) return null;
    name += `.${part}`;
    value = value.get(part);
    if (Array.isArray(value)) return name;
  }
  return null;
}
