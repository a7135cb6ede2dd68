import { ServerError } from '../bson/server-error.js';
import { isDoc, typeName, type Doc, type Value } from '../bson/value.js';
import { indexOfPart, type Path } from '../query/path.js';
import type { Change } from './operators.js';

const MAX_PADDING = 1_500_000;

export interface Positions {
  /** Array index that the query matched, for `$`. */
  readonly matched: number | null;
  /** `$[name]`: which elements the filter takes. */
  readonly filters: ReadonlyMap<string, (element: Value) => boolean>;
}

/** The concrete paths that a path with `$`, `$[]` or `$[name]` means in this document. */
export function expandPath(doc: Doc, path: Path, positions: Positions): Path[] {
  if (!path.some((part) => part.startsWith('$'))) return [path];
  return expand(doc, path, 0, [], positions);
}

function expand(value: Value | undefined, path: Path, at: number, done: Path, positions: Positions): Path[] {
  const part = path[at];
  if (part === undefined) return [done];
  if (part === '$') {
    if (positions.matched === null) {
      throw new ServerError(2, 'The positional operator did not find the match needed from the query.');
    }
    return step(value, String(positions.matched), path, at, done, positions);
  }
  if (!part.startsWith('$[')) return step(value, part, path, at, done, positions);
  if (!Array.isArray(value)) {
    throw new ServerError(
      2,
      `The path '${done.join('.')}' must exist in the document in order to apply array updates.`,
    );
  }
  const filter = part === '$[]' ? () => true : positions.filters.get(part.slice(2, -1));
  if (!filter)
    throw new ServerError(2, `No array filter found for identifier '${part.slice(2, -1)}' in path '${path.join('.')}'`);
  return value.flatMap((element, index) =>
    filter(element) ? expand(element, path, at + 1, [...done, String(index)], positions) : [],
  );
}

function step(
  value: Value | undefined,
  part: string,
  path: Path,
  at: number,
  done: Path,
  positions: Positions,
): Path[] {
  const next = isDoc(value) ? value.get(part) : Array.isArray(value) ? value[indexOfPart(part)] : undefined;
  return expand(next, path, at + 1, [...done, part], positions);
}

/** Changes the value at a concrete path of `doc` in place; makes missing parents when `creates`. */
export function changeAt(doc: Doc, path: Path, creates: boolean, change: Change): void {
  let holder: Value = doc;
  for (const [index, part] of path.entries()) {
    if (index === path.length - 1) {
      put(holder, part, path, creates, change);
      return;
    }
    const next = child(holder, part);
    if (next !== undefined && next !== null && (isDoc(next) || Array.isArray(next))) {
      holder = next;
      continue;
    }
    if (next !== undefined) {
      if (!creates) return;
      throw notViable(path[index + 1] ?? '', part, next);
    }
    if (!creates) return;
    const made: Doc = new Map();
    put(holder, part, path, true, () => made);
    holder = made;
  }
}

function child(holder: Value, part: string): Value | undefined {
  if (isDoc(holder)) return holder.get(part);
  return Array.isArray(holder) ? holder[indexOfPart(part)] : undefined;
}

function put(holder: Value, part: string, path: Path, creates: boolean, change: Change): void {
  if (isDoc(holder)) {
    const value = change(holder.get(part));
    if (value === undefined) holder.delete(part);
    else holder.set(part, value);
    return;
  }
  if (!Array.isArray(holder)) return;
  const index = indexOfPart(part);
  if (index < 0) {
    if (!creates) return;
    throw new ServerError(28, `Cannot create field '${part}' in element {${path.at(-2) ?? ''}: array}`);
  }
  const existing = holder[index];
  if (existing === undefined && !creates) return;
  const value = change(existing);
  if (value === undefined) {
    // Removing an element leaves a null, so that the others keep their places.
    if (index < holder.length) holder[index] = null;
    return;
  }
  if (index - holder.length > MAX_PADDING) throw new ServerError(2, `can't backfill more than ${MAX_PADDING} elements`);
  while (holder.length < index) holder.push(null);
  holder[index] = value;
}

function notViable(field: string, parent: string, value: Value): ServerError {
  return new ServerError(28, `Cannot create field '${field}' in element {${parent}: ${typeName(value)}}`);
}
