import { Reader, SyntaxTrouble, Writer } from './bytes.js';

/** A field of a table with its type letter on the wire, so that it goes out as it came in. */
export type Field =
  | { readonly type: 't'; readonly value: boolean }
  | { readonly type: 'b' | 'B' | 's' | 'u' | 'I' | 'i' | 'f' | 'd'; readonly value: number }
  | { readonly type: 'l' | 'L' | 'T'; readonly value: bigint }
  | { readonly type: 'D'; readonly value: { readonly scale: number; readonly digits: number } }
  | { readonly type: 'S' | 'x'; readonly value: Buffer }
  | { readonly type: 'A'; readonly value: readonly Field[] }
  | { readonly type: 'F'; readonly value: Table }
  | { readonly type: 'V'; readonly value: null };

export type Table = ReadonlyMap<string, Field>;

/** Tables in tables deeper than this are refused: nobody means them, and they would exhaust the stack. */
const MAX_DEPTH = 64;

export function readTable(reader: Reader, depth = 0): Table {
  const inner = nested(reader, depth);
  const table = new Map<string, Field>();
  while (inner.at < inner.end) table.set(inner.shortstr(), readField(inner, depth));
  return table;
}

function nested(reader: Reader, depth: number): Reader {
  if (depth > MAX_DEPTH) throw new SyntaxTrouble('a table is nested too deeply');
  const length = reader.long();
  const from = reader.at;
  reader.slice(length);
  return new Reader(reader.bytes, from, from + length);
}

function readField(reader: Reader, depth: number): Field {
  const type = String.fromCharCode(reader.octet());
  switch (type) {
    case 't':
      return { type, value: reader.octet() !== 0 };
    case 'b':
      return { type, value: (reader.octet() << 24) >> 24 };
    case 'B':
      return { type, value: reader.octet() };
    case 's':
      return { type, value: (reader.short() << 16) >> 16 };
    case 'u':
      return { type, value: reader.short() };
    case 'I':
      return { type, value: reader.long() | 0 };
    case 'i':
      return { type, value: reader.long() };
    case 'l':
      return { type, value: BigInt.asIntN(64, reader.longlong()) };
    case 'L':
    case 'T':
      return { type, value: reader.longlong() };
    case 'f':
      return { type, value: reader.slice(4).readFloatBE() };
    case 'd':
      return { type, value: reader.slice(8).readDoubleBE() };
    case 'D':
      return { type, value: { scale: reader.octet(), digits: reader.long() } };
    case 'S':
    case 'x':
      return { type, value: reader.longstr() };
    case 'A': {
      const inner = nested(reader, depth);
      const items: Field[] = [];
      while (inner.at < inner.end) items.push(readField(inner, depth + 1));
      return { type, value: items };
    }
    case 'F':
      return { type, value: readTable(reader, depth + 1) };
    case 'V':
      return { type, value: null };
    default:
      throw new SyntaxTrouble(`a table holds the unknown type '${type}'`);
  }
}

export function writeTable(writer: Writer, table: Table): void {
  sized(writer, () => {
    for (const [name, field] of table) {
      writer.shortstr(name);
      writeField(writer, field);
    }
  });
}

function sized(writer: Writer, write: () => void): void {
  const at = writer.take(4);
  write();
  writer.bytes.writeUInt32BE(writer.at - at - 4, at);
}

function writeField(writer: Writer, field: Field): void {
  writer.octet(field.type.charCodeAt(0));
  switch (field.type) {
    case 't': {
      writer.octet(field.value ? 1 : 0);
      return;
    }
    case 'b':
    case 'B': {
      writer.octet(field.value & 0xff);
      return;
    }
    case 's':
    case 'u': {
      writer.short(field.value & 0xffff);
      return;
    }
    case 'I':
    case 'i': {
      writer.long(field.value >>> 0);
      return;
    }
    case 'l':
    case 'L':
    case 'T': {
      writer.longlong(BigInt.asUintN(64, field.value));
      return;
    }
    case 'f': {
      const at = writer.take(4);
      writer.bytes.writeFloatBE(field.value, at);
      return;
    }
    case 'd': {
      const at = writer.take(8);
      writer.bytes.writeDoubleBE(field.value, at);
      return;
    }
    case 'D':
      writer.octet(field.value.scale);
      {
        writer.long(field.value.digits);
        return;
      }
    case 'S':
    case 'x': {
      writer.longstr(field.value);
      return;
    }
    case 'A': {
      sized(writer, () => field.value.forEach((item) => writeField(writer, item)));
      return;
    }
    case 'F': {
      writeTable(writer, field.value);
      return;
    }
    case 'V':
      return;
  }
}

export function decodeTable(bytes: Buffer): Table {
  return readTable(new Reader(bytes));
}

export function encodeTable(table: Table): Buffer {
  const writer = new Writer();
  writeTable(writer, table);
  return writer.done();
}

/** A text field. */
export function text(value: string): Field {
  return { type: 'S', value: Buffer.from(value) };
}

/** The field as text, or undefined when it is of another type. */
export function textOf(field: Field | undefined): string | undefined {
  return field?.type === 'S' ? field.value.toString() : undefined;
}

/** The field as a whole number, or undefined when it is of another type. */
export function integerOf(field: Field | undefined): number | undefined {
  if (field === undefined || !'bBsuIilL'.includes(field.type)) return undefined;
  return Number(field.value);
}

/** True when two fields mean the same: integers by value whatever their width, all else by type and content. */
export function sameField(a: Field | undefined, b: Field | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const number = integerOf(a);
  if (number !== undefined) return number === integerOf(b);
  return encodeTable(new Map([['', a]])).equals(encodeTable(new Map([['', b]])));
}

/** The name that RabbitMQ gives to a field's type in its messages. */
export function typeName(field: Field): string {
  const names = {
    t: 'bool',
    b: 'byte',
    B: 'unsignedbyte',
    s: 'short',
    u: 'unsignedshort',
    I: 'signedint',
    i: 'unsignedint',
    l: 'long',
    L: 'unsignedlong',
    T: 'timestamp',
    f: 'float',
    d: 'double',
    D: 'decimal',
    S: 'longstr',
    x: 'binary',
    A: 'array',
    F: 'table',
    V: 'void',
  } as const satisfies Record<Field['type'], string>;
  return names[field.type];
}
