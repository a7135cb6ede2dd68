import { decode } from '../bson/decode.js';
import type { OutDoc } from '../bson/encode.js';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { wholeNumber } from '../bson/number.js';
import { isDoc, isNumeric, typeName, type Doc, type Value } from '../bson/value.js';
import { truthy } from '../aggregate/expression.js';
import type { Engine } from '../engine.js';

/** One command as it came over the wire. */
export interface Request {
  readonly name: string;
  readonly body: Doc;
  readonly database: string;
  /** Document sequences beside the body, by field, still as bytes. */
  readonly sequences: ReadonlyMap<string, readonly Buffer[]>;
  readonly connection: { readonly id: number; readonly peer: string };
  /** Throws MaxTimeMSExpired once the command's maxTimeMS has passed. */
  readonly checkTime: () => void;
}

export interface Command {
  /** Known arguments beside the common ones: any other is error 40415. */
  readonly args: readonly string[];
  /** True when it may change data: the answer waits for the journal. */
  readonly writes?: boolean;
  readonly run: (request: Request, engine: Engine) => OutDoc | Promise<OutDoc>;
}

export function wrongType(field: string, value: Value, wanted: string): ServerError {
  return new ServerError(14, `BSON field '${field}' is the wrong type '${typeName(value)}', expected type '${wanted}'`);
}

export function textArg(request: Request, name: string): string {
  const value = request.body.get(name);
  if (typeof value === 'string') return value;
  throw value === undefined ? missing(request, name) : wrongType(`${request.name}.${name}`, value, 'string');
}

export function docArg(request: Request, name: string): Doc | undefined {
  const value = request.body.get(name);
  if (value === undefined || isDoc(value)) return value;
  throw wrongType(`${request.name}.${name}`, value, 'object');
}

export function arrayArg(request: Request, name: string): readonly Value[] | undefined {
  const value = request.body.get(name);
  if (value === undefined || Array.isArray(value)) return value;
  throw wrongType(`${request.name}.${name}`, value, 'array');
}

export function boolArg(request: Request, name: string): boolean {
  const value = request.body.get(name);
  if (value === undefined || value === null || typeof value === 'boolean' || isNumeric(value)) return truthy(value);
  throw wrongType(`${request.name}.${name}`, value, 'bool');
}

/** A count of things: a whole number that is not negative. */
export function countArg(doc: Doc, name: string): number | undefined {
  const value = doc.get(name);
  if (value === undefined || value === null) return undefined;
  if (!isNumeric(value)) throw wrongType(name, value, 'long');
  const whole = wholeNumber(value);
  if (whole === undefined) throw new ServerError(9, `Expected an integer for '${name}'`);
  if (whole < 0) throw new ServerError(51024, `BSON field '${name}' value must be >= 0, actual value '${whole}'`);
  return whole;
}

export function missing(request: Request, name: string): ServerError {
  return new ServerError(40414, `BSON field '${request.name}.${name}' is missing but a required field`);
}

/** Documents given in the body or as a sequence, decoded; `bytes` when they came as bytes. */
export function documentsOf(
  request: Request,
  name: string,
): readonly { readonly doc: Doc; readonly bytes: Buffer | null }[] {
  const sequence = request.sequences.get(name);
  if (sequence) return sequence.map((bytes) => ({ doc: decode(bytes), bytes }));
  const listed = arrayArg(request, name);
  if (!listed) throw missing(request, name);
  return listed.map((doc, index) => {
    if (isDoc(doc)) return { doc, bytes: null };
    throw wrongType(`${request.name}.${name}.${index}`, doc, 'object');
  });
}

/** The namespace whose collection is the command's own value. */
export function namespaceOf(request: Request): string {
  const collection = request.body.get(request.name);
  if (typeof collection !== 'string')
    throw new ServerError(
      73,
      `collection name has invalid type ${collection === undefined ? 'missing' : typeName(collection)}`,
    );
  if (collection === '') throw new ServerError(73, `Invalid namespace specified '${request.database}.'`);
  return `${request.database}.${collection}`;
}

/** Collation that changes nothing is accepted, any other is refused. */
export function checkCollation(holder: Doc): void {
  const collation = holder.get('collation');
  if (collation === undefined || (isDoc(collation) && (collation.size === 0 || collation.get('locale') === 'simple')))
    return;
  throw notImplemented('Collation');
}

/** Refuses arguments that are known but would change the answer. */
export function refuseArgs(request: Request, names: readonly string[]): void {
  for (const name of names)
    if (truthy(request.body.get(name))) throw notImplemented(`The option '${name}' of ${request.name}`);
}
