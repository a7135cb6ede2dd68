import { Reader, SyntaxTrouble, Writer } from './bytes.js';
import { decodeTable, encodeTable, type Table } from './table.js';

/** A message's basic properties. `headers` is the encoded table, since most messages are only passed on. */
export interface Properties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: Buffer;
  readonly deliveryMode?: number;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly replyTo?: string;
  readonly expiration?: string;
  readonly messageId?: string;
  readonly timestamp?: bigint;
  readonly type?: string;
  readonly userId?: string;
  readonly appId?: string;
  readonly clusterId?: string;
}

/** In wire order: the first has the highest bit of the flags. */
const FIELDS = [
  ['contentType', 'shortstr'],
  ['contentEncoding', 'shortstr'],
  ['headers', 'table'],
  ['deliveryMode', 'octet'],
  ['priority', 'octet'],
  ['correlationId', 'shortstr'],
  ['replyTo', 'shortstr'],
  ['expiration', 'shortstr'],
  ['messageId', 'shortstr'],
  ['timestamp', 'longlong'],
  ['type', 'shortstr'],
  ['userId', 'shortstr'],
  ['appId', 'shortstr'],
  ['clusterId', 'shortstr'],
] as const satisfies readonly (readonly [keyof Properties, string])[];

/** Decodes flags and values as they stand in a content header. @throws SyntaxTrouble */
export function readProperties(raw: Buffer): Properties {
  const reader = new Reader(raw);
  const flags = reader.short();
  if ((flags & 1) !== 0) throw new SyntaxTrouble('property flags go on in a second word');
  const properties: Record<string, unknown> = {};
  let mask = 0x8000;
  for (const [field, type] of FIELDS) {
    if ((flags & mask) !== 0) properties[field] = type === 'table' ? readRawTable(reader) : reader[type]();
    mask >>= 1;
  }
  if (reader.at !== raw.length) throw new SyntaxTrouble('the properties are longer than their flags say');
  return properties;
}

function readRawTable(reader: Reader): Buffer {
  const from = reader.at;
  const length = reader.long();
  reader.slice(length);
  return reader.bytes.subarray(from, reader.at);
}

export function encodeProperties(properties: Properties): Buffer {
  const writer = new Writer();
  writer.short(0);
  let flags = 0;
  let mask = 0x8000;
  for (const [field, type] of FIELDS) {
    const value = properties[field];
    if (value !== undefined) {
      flags |= mask;
      if (type === 'table') writer.raw(value as Buffer);
      else if (type === 'longlong') writer.longlong(value as bigint);
      else if (type === 'octet') writer.octet(value as number);
      else writer.shortstr(value as string);
    }
    mask >>= 1;
  }
  writer.bytes.writeUInt16BE(flags, 0);
  return writer.done();
}

/** The properties with other headers; an empty table leaves them out. */
export function withHeaders(properties: Properties, headers: Table): Properties {
  const { headers: _, ...rest } = properties;
  return headers.size === 0 ? rest : { ...rest, headers: encodeTable(headers) };
}

export function headersOf(properties: Properties): Table {
  return properties.headers ? decodeTable(properties.headers) : new Map();
}
