import { isDoc, type Doc, type Value } from '../bson/value.js';

export type Path = readonly string[];

export function splitPath(path: string): Path {
  return path.split('.');
}

/** The array index that a path part names, else -1. */
export function indexOfPart(part: string): number {
  return /^(?:0|[1-9]\d{0,9})$/.test(part) ? Number(part) : -1;
}

/** Where the outermost array on the way was when a visit answered true: the `$` of an update. */
export interface Trace {
  position: number | null;
}

type Visit = (value: Value | undefined) => boolean;

/**
 * Visits the values that a query path reaches, through arrays at every level, until a visit answers true.
 * `expand`: an array at the end of the path is visited element by element, then as a whole. A field that is missing
 * from a document is visited as undefined; an element of an array that is no document is passed over.
 */
export function visitPath(doc: Doc, path: Path, expand: boolean, visit: Visit, trace?: Trace): boolean {
  return descend(doc, path, 0, expand, visit, trace);
}

function descend(
  value: Value | undefined,
  path: Path,
  at: number,
  expand: boolean,
  visit: Visit,
  trace?: Trace,
): boolean {
  const part = path[at];
  if (part === undefined) {
    if (expand && Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1) {
        if (visit(value[index])) {
          if (trace) trace.position = index;
          return true;
        }
      }
    }
    return visit(value);
  }
  if (value instanceof Map) return descend(value.get(part), path, at + 1, expand, visit, trace);
  if (!Array.isArray(value)) return visit(undefined);
  for (let index = 0; index < value.length; index += 1) {
    const element = value[index];
    if (isDoc(element) && descend(element, path, at, expand, visit, trace)) {
      if (trace) trace.position = index;
      return true;
    }
  }
  const index = indexOfPart(part);
  const element = index < 0 ? undefined : value[index];
  return element !== undefined && descend(element, path, at + 1, expand, visit, trace);
}

/** The value at a path without looking through arrays; numeric parts index arrays. */
export function directValue(doc: Doc, path: Path): Value | undefined {
  let value: Value | undefined = doc;
  for (const part of path) {
    if (isDoc(value)) value = value.get(part);
    else if (Array.isArray(value)) value = value[indexOfPart(part)];
    else return undefined;
  }
  return value;
}

/** What an expression's `$a.b` gives: an array on the way becomes the array of its documents' values. */
export function expressionValue(value: Value | undefined, path: Path, at = 0): Value | undefined {
  const part = path[at];
  if (part === undefined || value === undefined) return value;
  if (isDoc(value)) return expressionValue(value.get(part), path, at + 1);
  if (!Array.isArray(value)) return undefined;
  const values: Value[] = [];
  for (const element of value) {
    if (!isDoc(element) && !Array.isArray(element)) continue;
    const found = expressionValue(element, path, at);
    if (found !== undefined) values.push(found);
  }
  return values;
}
