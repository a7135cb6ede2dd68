import { Binary, BSONRegExp, BSONSymbol, Code, Decimal128, Int32, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { ServerError } from './server-error.js';

/** A document that is already bytes. */
export class Raw {
  constructor(readonly bytes: Buffer) {}
}

/**
 * An answer: fields of values, raw documents, and lists and documents of these. Not typed through, because linters recurse
 * without end when a document is given where such a recursive type is wanted.
 */
export type OutDoc = ReadonlyMap<string, unknown>;

const FIRST_SCRATCH = 64 * 1024;
const KEEP_SCRATCH = 4 * 1024 * 1024;
let scratch = Buffer.allocUnsafeSlow(FIRST_SCRATCH);
let at = 0;

/** The BSON bytes of `doc`, in a buffer of their own. */
export function encode(doc: OutDoc, headroom = 0): Buffer {
  at = headroom;
  try {
    room(headroom);
    writeDoc(doc);
    return Buffer.from(scratch.subarray(0, at));
  } finally {
    if (scratch.length > KEEP_SCRATCH) scratch = Buffer.allocUnsafeSlow(FIRST_SCRATCH);
  }
}

function room(bytes: number): void {
  if (at + bytes <= scratch.length) return;
  const grown = Buffer.allocUnsafeSlow(Math.max(scratch.length * 2, at + bytes));
  scratch.copy(grown, 0, 0, at);
  scratch = grown;
}

function writeDoc(doc: OutDoc): void {
  const start = at;
  room(5);
  at += 4;
  for (const [name, value] of doc) writeElement(name, value);
  finish(start);
}

function writeArray(values: readonly unknown[]): void {
  const start = at;
  room(5);
  at += 4;
  let index = 0;
  for (const value of values) {
    writeElement(String(index), value);
    index += 1;
  }
  finish(start);
}

function finish(start: number): void {
  room(1);
  scratch[at] = 0;
  at += 1;
  scratch.writeInt32LE(at - start, start);
}

function header(type: number, name: string, payload: number): void {
  room(2 + name.length * 3 + payload);
  scratch[at] = type;
  at += 1;
  cstring(name);
}

function cstring(value: string): void {
  const start = at;
  for (let index = 0; index < value.length; index += 1) {
    const char = value.charCodeAt(index);
    if (char > 127) {
      at = start + scratch.write(value, start, 'utf8');
      break;
    }
    if (char === 0) throw new ServerError(2, 'a field name or pattern must not contain a null byte');
    scratch[at] = char;
    at += 1;
  }
  scratch[at] = 0;
  at += 1;
}

function writeString(value: string): void {
  const length = Buffer.byteLength(value);
  room(length + 5);
  scratch.writeInt32LE(length + 1, at);
  at += 4;
  at += scratch.write(value, at, 'utf8');
  scratch[at] = 0;
  at += 1;
}

function writeElement(name: string, value: unknown): void {
  if (typeof value === 'number') {
    header(0x01, name, 8);
    at = scratch.writeDoubleLE(value, at);
  } else if (typeof value === 'bigint') {
    header(0x12, name, 8);
    at = scratch.writeBigInt64LE(value, at);
  } else if (typeof value === 'string') {
    header(0x02, name, 0);
    writeString(value);
  } else if (typeof value === 'boolean') {
    header(0x08, name, 1);
    scratch[at] = value ? 1 : 0;
    at += 1;
  } else writeObject(name, value);
}

function writeObject(name: string, value: unknown): void {
  if (value === null) {
    header(0x0a, name, 0);
  } else if (value instanceof Int32) {
    header(0x10, name, 4);
    at = scratch.writeInt32LE(value.value, at);
  } else if (value instanceof Map) {
    header(0x03, name, 0);
    writeDoc(value as OutDoc);
  } else if (Array.isArray(value)) {
    header(0x04, name, 0);
    writeArray(value);
  } else if (value instanceof Raw) {
    header(0x03, name, value.bytes.length);
    at += value.bytes.copy(scratch, at);
  } else if (value instanceof ObjectId) {
    header(0x07, name, 12);
    scratch.set(value.id, at);
    at += 12;
  } else if (value instanceof Date) {
    header(0x09, name, 8);
    at = scratch.writeBigInt64LE(BigInt(value.getTime()), at);
  } else {
    writeRare(name, value);
  }
}

function writeRare(name: string, value: unknown): void {
  if (value instanceof Binary) {
    const bytes = value.buffer.subarray(0, value.position);
    const old = value.sub_type === 2;
    header(0x05, name, bytes.length + 9);
    at = scratch.writeInt32LE(bytes.length + (old ? 4 : 0), at);
    scratch[at] = value.sub_type;
    at += 1;
    if (old) at = scratch.writeInt32LE(bytes.length, at);
    scratch.set(bytes, at);
    at += bytes.length;
  } else if (value instanceof Decimal128) {
    header(0x13, name, 16);
    scratch.set(value.bytes, at);
    at += 16;
  } else if (value instanceof Timestamp) {
    header(0x11, name, 8);
    at = scratch.writeUInt32LE(value.i, at);
    at = scratch.writeUInt32LE(value.t, at);
  } else if (value instanceof BSONRegExp) {
    header(0x0b, name, (value.pattern.length + value.options.length) * 3 + 2);
    cstring(value.pattern);
    cstring(value.options);
  } else if (value instanceof Code) {
    writeCode(name, value);
  } else if (value instanceof BSONSymbol) {
    header(0x0e, name, 0);
    writeString(value.value);
  } else if (value instanceof MinKey || value instanceof MaxKey) {
    header(value instanceof MinKey ? 0xff : 0x7f, name, 0);
  } else {
    throw new Error(`the field '${name}' holds no BSON value`);
  }
}

function writeCode(name: string, value: Code): void {
  if (value.scope === null) {
    header(0x0d, name, 0);
    writeString(value.code);
    return;
  }
  header(0x0f, name, 4);
  const start = at;
  at += 4;
  writeString(value.code);
  writeDoc(value.scope as unknown as OutDoc);
  scratch.writeInt32LE(at - start, start);
}
