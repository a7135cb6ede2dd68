import { Binary, BSONRegExp, BSONSymbol, Code, Decimal128, Int32, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { notImplemented, ServerError } from './server-error.js';
import type { Doc, Value } from './value.js';

const MAX_DEPTH = 200;
const MIN_KEY = new MinKey();
const MAX_KEY = new MaxKey();
const MAX_DATE_MS = 8.64e15;

/** Field names seen lately, by a hash of their bytes: decoding a name again costs no allocation. */
const names: (string | undefined)[] = new Array<string | undefined>(2048).fill(undefined);

/**
 * The document that starts at `offset`.
 * @throws ServerError 22 InvalidBSON when the bytes are not a document, 15 when it is nested more than 200 deep.
 */
export function decode(bytes: Buffer, offset = 0): Doc {
  const end = sizeAt(bytes, offset, bytes.length);
  return readDoc(bytes, offset, end, 0);
}

/** Length in bytes of the document at `offset`, checked against `limit`. */
export function sizeAt(bytes: Buffer, offset: number, limit: number): number {
  if (offset + 5 > limit) throw invalid('a document is cut short');
  const end = offset + bytes.readInt32LE(offset);
  if (end < offset + 5 || end > limit || bytes[end - 1] !== 0) throw invalid('a document has a wrong length');
  return end;
}

function invalid(why: string): ServerError {
  return new ServerError(22, `Invalid BSON: ${why}`);
}

function readDoc(bytes: Buffer, offset: number, end: number, depth: number): Doc {
  const doc: Doc = new Map();
  const reader = new Reader(bytes, offset + 4, end - 1, depth);
  while (reader.next()) doc.set(reader.name, reader.value());
  return doc;
}

function readArray(bytes: Buffer, offset: number, end: number, depth: number): Value[] {
  const values: Value[] = [];
  const reader = new Reader(bytes, offset + 4, end - 1, depth);
  while (reader.nextUnnamed()) values.push(reader.value());
  return values;
}

class Reader {
  name = '';
  private type = 0;

  constructor(
    private readonly bytes: Buffer,
    private at: number,
    private readonly end: number,
    private readonly depth: number,
  ) {
    if (depth > MAX_DEPTH) throw new ServerError(15, `BSON is nested more than ${MAX_DEPTH} levels deep`);
  }

  next(): boolean {
    if (this.at >= this.end) return false;
    this.type = this.bytes[this.at] ?? 0;
    this.at += 1;
    this.name = this.cstring();
    return true;
  }

  nextUnnamed(): boolean {
    if (this.at >= this.end) return false;
    this.type = this.bytes[this.at] ?? 0;
    this.at = this.zero(this.at + 1) + 1;
    return true;
  }

  value(): Value {
    switch (this.type) {
      case 0x01:
        return this.bytes.readDoubleLE(this.take(8));
      case 0x02:
        return this.string();
      case 0x03: {
        const start = this.at;
        this.at = sizeAt(this.bytes, start, this.end);
        return readDoc(this.bytes, start, this.at, this.depth + 1);
      }
      case 0x04: {
        const start = this.at;
        this.at = sizeAt(this.bytes, start, this.end);
        return readArray(this.bytes, start, this.at, this.depth + 1);
      }
      case 0x05:
        return this.binary();
      case 0x07:
        return new ObjectId(this.copy(12));
      case 0x08:
        return this.boolean();
      case 0x09:
        return this.date();
      case 0x0a:
        return null;
      case 0x0b:
        return new BSONRegExp(this.cstring(), this.cstring());
      case 0x0d:
        return new Code(this.string());
      case 0x0e:
        return new BSONSymbol(this.string());
      case 0x0f: {
        this.take(4);
        const source = this.string();
        const start = this.at;
        this.at = sizeAt(this.bytes, start, this.end);
        return new Code(source, readDoc(this.bytes, start, this.at, this.depth + 1));
      }
      case 0x10:
        return new Int32(this.bytes.readInt32LE(this.take(4)));
      case 0x11: {
        const start = this.take(8);
        return new Timestamp({ i: this.bytes.readUInt32LE(start), t: this.bytes.readUInt32LE(start + 4) });
      }
      case 0x12:
        return this.bytes.readBigInt64LE(this.take(8));
      case 0x13:
        return new Decimal128(this.copy(16));
      case 0x7f:
        return MAX_KEY;
      case 0xff:
        return MIN_KEY;
      case 0x06:
        throw notImplemented(`The deprecated BSON type undefined (field '${this.name}')`);
      case 0x0c:
        throw notImplemented(`The deprecated BSON type dbPointer (field '${this.name}')`);
      default:
        throw invalid(`unknown type ${this.type} of field '${this.name}'`);
    }
  }

  private boolean(): boolean {
    const byte = this.bytes[this.take(1)];
    if (byte !== 0 && byte !== 1) throw invalid(`a boolean is neither 0 nor 1 (field '${this.name}')`);
    return byte === 1;
  }

  private date(): Date {
    const ms = Number(this.bytes.readBigInt64LE(this.take(8)));
    if (Math.abs(ms) > MAX_DATE_MS) {
      throw new ServerError(
        2,
        `field '${this.name}': a date beyond the year 275760 is not kept by the embedded server`,
      );
    }
    return new Date(ms);
  }

  private binary(): Binary {
    const length = this.bytes.readInt32LE(this.take(4));
    const subtype = this.bytes[this.take(1)] ?? 0;
    if (length < 0) throw invalid('a binary has a negative length');
    if (subtype === 2) {
      // The old subtype carries its length twice.
      this.take(4);
      return new Binary(this.copy(length - 4), 2);
    }
    return new Binary(this.copy(length), subtype);
  }

  private copy(length: number): Buffer {
    const start = this.take(length);
    return Buffer.from(this.bytes.subarray(start, start + length));
  }

  private take(length: number): number {
    const start = this.at;
    if (length < 0 || start + length > this.end) throw invalid(`field '${this.name}' is cut short`);
    this.at = start + length;
    return start;
  }

  private string(): string {
    const length = this.bytes.readInt32LE(this.take(4));
    const start = this.take(length);
    if (length < 1 || this.bytes[start + length - 1] !== 0)
      throw invalid(`a string has a wrong length (field '${this.name}')`);
    return text(this.bytes, start, start + length - 1);
  }

  private cstring(): string {
    const start = this.at;
    const end = this.zero(start);
    this.at = end + 1;
    if (end - start > 32) return text(this.bytes, start, end);
    return shortName(this.bytes, start, end);
  }

  private zero(from: number): number {
    let at = from;
    while (at < this.end && this.bytes[at] !== 0) at += 1;
    if (at >= this.end) throw invalid('a field name has no end');
    return at;
  }
}

function shortName(bytes: Buffer, start: number, end: number): string {
  let hash = end - start;
  for (let at = start; at < end; at += 1) hash = (hash * 31 + (bytes[at] ?? 0)) | 0;
  const slot = hash & 2047;
  const known = names[slot];
  if (known?.length === end - start) {
    let at = 0;
    while (at < known.length && known.charCodeAt(at) === bytes[start + at]) at += 1;
    if (at === known.length) return known;
  }
  const name = text(bytes, start, end);
  // Only ASCII names have one character for each byte, which the comparison above relies on.
  if (name.length === end - start) names[slot] = name;
  return name;
}

function text(bytes: Buffer, start: number, end: number): string {
  if (end - start < 16) {
    let ascii = '';
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte > 127) return checkedUtf8(bytes, start, end);
      ascii += String.fromCharCode(byte);
    }
    return ascii;
  }
  return checkedUtf8(bytes, start, end);
}

function checkedUtf8(bytes: Buffer, start: number, end: number): string {
  const value = bytes.toString('utf8', start, end);
  // A replacement character means bad UTF-8, unless it was sent as such: then the length is the same again.
  if (value.includes('\ufffd') && Buffer.byteLength(value) !== end - start) throw invalid('a string is not UTF-8');
  return value;
}
