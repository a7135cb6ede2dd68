import { notImplemented, ServerError } from '../bson/server-error.js';
import { toNumber } from '../bson/number.js';
import { compare } from '../bson/order.js';
import { isDoc, isNumeric, type Doc, type Value } from '../bson/value.js';
import { splitPath, visitPath, type Path } from './path.js';

export interface SortField {
  readonly name: string;
  readonly path: Path;
  readonly direction: 1 | -1;
}

export interface Sort {
  readonly fields: readonly SortField[];
  /** A stable order of `items` by the documents that `view` gives. */
  sorted<T>(items: readonly T[], view: (item: T) => Doc): T[];
}

/** @throws ServerError 15974 / 15975 for a malformed specification */
export function compileSort(spec: Doc): Sort {
  const fields = [...spec].map(([name, way]): SortField => {
    if (isDoc(way))
      throw way.has('$meta')
        ? notImplemented('Sorting by $meta')
        : new ServerError(15974, `Illegal key in $sort specification: ${name}`);
    const direction = isNumeric(way) ? toNumber(way) : 0;
    if (direction !== 1 && direction !== -1)
      throw new ServerError(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)');
    if (name === '') throw new ServerError(2, 'FieldPath cannot be constructed with empty string');
    return { name, path: splitPath(name), direction };
  });
  return {
    fields,
    sorted: (items, view) =>
      items
        .map((item) => ({ item, keys: fields.map((field) => sortKey(view(item), field)) }))
        .sort((a, b) => compareKeys(a.keys, b.keys, fields))
        .map(({ item }) => item),
  };
}

function compareKeys(
  a: readonly (Value | undefined)[],
  b: readonly (Value | undefined)[],
  fields: readonly SortField[],
): number {
  for (const [index, field] of fields.entries()) {
    const order = compare(a[index], b[index]) * field.direction;
    if (order !== 0) return order;
  }
  return 0;
}

/** An array sorts by its smallest element ascending and by its largest descending; an empty one, like a missing field, as null. */
function sortKey(doc: Doc, field: SortField): Value | undefined {
  const [name] = field.path;
  if (field.path.length === 1 && name !== undefined) {
    const value = doc.get(name);
    if (!Array.isArray(value)) return value ?? null;
  }
  let best: Value | undefined;
  let seen = false;
  visitPath(doc, field.path, false, (found) => {
    const values = Array.isArray(found) ? found : [found ?? null];
    for (const value of values) {
      if (!seen || compare(value, best) * field.direction < 0) best = value;
      seen = true;
    }
    return false;
  });
  return best ?? null;
}
