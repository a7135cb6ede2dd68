/**
 * The little of BSON that a look at a server needs: flat commands out, answers in. The bson package is not loaded here,
 * because `status` must not pay for it.
 */
export type Value = string | number | boolean | null | Date | Buffer | Document | undefined;
export interface Document {
  readonly [key: string]: Value;
}

const TYPE = {
  double: 1,
  string: 2,
  document: 3,
  array: 4,
  binary: 5,
  boolean: 8,
  date: 9,
  null: 10,
  int32: 16,
  int64: 18,
} as const;

/** Types that an answer may hold and nobody here reads, with their length in bytes. */
const SKIP: Readonly<Record<number, number | undefined>> = { 6: 0, 7: 12, 17: 8, 19: 16, 255: 0, 127: 0 };

export function encode(document: Document): Buffer {
  const parts = Object.entries(document).map(([key, value]) => encodeElement(key, value));
  const body = Buffer.concat([...parts, Buffer.of(0)]);
  return Buffer.concat([int32(body.length + 4), body]);
}

function encodeElement(key: string, value: Value): Buffer {
  const name = Buffer.from(`${key}\0`);
  if (typeof value === 'string') {
    const text = Buffer.from(`${value}\0`);
    return Buffer.concat([Buffer.of(TYPE.string), name, int32(text.length), text]);
  }
  if (typeof value === 'number') return Buffer.concat([Buffer.of(TYPE.int32), name, int32(value)]);
  if (typeof value === 'boolean') return Buffer.concat([Buffer.of(TYPE.boolean), name, Buffer.of(value ? 1 : 0)]);
  if (Buffer.isBuffer(value))
    return Buffer.concat([Buffer.of(TYPE.binary), name, int32(value.length), Buffer.of(0), value]);
  if (value === null || value === undefined || value instanceof Date)
    return Buffer.concat([Buffer.of(TYPE.null), name]);
  return Buffer.concat([Buffer.of(TYPE.document), name, encode(value)]);
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** Arrays come as documents with keys 0, 1, …; types that nobody here reads as undefined. @throws RangeError on anything malformed */
export function decode(bytes: Buffer, start = 0): Document {
  const end = start + bytes.readInt32LE(start) - 1;
  if (end >= bytes.length || bytes[end] !== 0) throw new RangeError('a BSON document without its end');
  const result: Record<string, Value> = {};
  let at = start + 4;
  while (at < end) {
    const type = bytes.readUInt8(at);
    const nameEnd = bytes.indexOf(0, at + 1);
    if (nameEnd < 0 || nameEnd >= end) throw new RangeError('a BSON name without its end');
    const { value, size } = decodeValue(type, bytes, nameEnd + 1);
    result[bytes.toString('utf8', at + 1, nameEnd)] = value;
    at = nameEnd + 1 + size;
  }
  if (at !== end) throw new RangeError('a BSON element runs over the end');
  return result;
}

function decodeValue(type: number, bytes: Buffer, at: number): { readonly value: Value; readonly size: number } {
  switch (type) {
    case TYPE.double:
      return { value: bytes.readDoubleLE(at), size: 8 };
    case TYPE.string: {
      const length = bytes.readInt32LE(at);
      return { value: bytes.toString('utf8', at + 4, at + 3 + length), size: 4 + length };
    }
    case TYPE.document:
    case TYPE.array:
      return { value: decode(bytes, at), size: bytes.readInt32LE(at) };
    case TYPE.binary: {
      const length = bytes.readInt32LE(at);
      return { value: bytes.subarray(at + 5, at + 5 + length), size: 5 + length };
    }
    case TYPE.boolean:
      return { value: bytes.readUInt8(at) !== 0, size: 1 };
    case TYPE.date:
      return { value: new Date(Number(bytes.readBigInt64LE(at))), size: 8 };
    case TYPE.null:
      return { value: null, size: 0 };
    case TYPE.int32:
      return { value: bytes.readInt32LE(at), size: 4 };
    case TYPE.int64:
      return { value: Number(bytes.readBigInt64LE(at)), size: 8 };
    default: {
      const size = SKIP[type];
      if (size === undefined) throw new RangeError(`BSON type ${type}`);
      return { value: undefined, size };
    }
  }
}
