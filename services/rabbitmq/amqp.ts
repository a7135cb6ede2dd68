/** The little of AMQP 0-9-1 that a look at a broker needs: method frames and field tables. */
export const PROTOCOL_HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');

const FRAME_METHOD = 1;
const FRAME_HEADER = 2;
const FRAME_END = 0xce;

/** Class and method ids as `class << 16 | method`. */
export const METHOD = {
  connectionStart: 0x000a_000a,
  connectionStartOk: 0x000a_000b,
  connectionTune: 0x000a_001e,
  connectionTuneOk: 0x000a_001f,
  connectionOpen: 0x000a_0028,
  connectionOpenOk: 0x000a_0029,
  connectionClose: 0x000a_0032,
  connectionCloseOk: 0x000a_0033,
  connectionBlocked: 0x000a_003c,
  channelOpen: 0x0014_000a,
  channelOpenOk: 0x0014_000b,
  channelClose: 0x0014_0028,
  channelCloseOk: 0x0014_0029,
  basicPublish: 0x003c_0028,
} as const;

const CLASS_BASIC = 0x3c;

export type Table = { readonly [key: string]: TableValue };
export type TableValue = string | number | boolean | null | Table | readonly TableValue[];

export function methodFrame(channel: number, method: number, ...fields: readonly Buffer[]): Buffer {
  return frame(FRAME_METHOD, channel, Buffer.concat([uint32(method), ...fields]));
}

/** The header of a message without a body and without properties. */
export function emptyContentFrame(channel: number): Buffer {
  return frame(FRAME_HEADER, channel, Buffer.concat([uint16(CLASS_BASIC), uint16(0), Buffer.alloc(8), uint16(0)]));
}

function frame(type: number, channel: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type), uint16(channel), uint32(payload.length), payload, Buffer.of(FRAME_END)]);
}

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > 255) throw new RangeError('an AMQP short string holds at most 255 bytes');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

export function longString(text: string | Buffer): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** A field table of strings, booleans and tables of the same. */
export function table(entries: Readonly<Record<string, string | boolean | Buffer>>): Buffer {
  return longString(
    Buffer.concat(
      Object.entries(entries).map(([key, value]) => {
        if (typeof value === 'boolean')
          return Buffer.concat([shortString(key), Buffer.from('t'), Buffer.of(value ? 1 : 0)]);
        if (typeof value === 'string') return Buffer.concat([shortString(key), Buffer.from('S'), longString(value)]);
        return Buffer.concat([shortString(key), Buffer.from('F'), value]);
      }),
    ),
  );
}

/** Reads a method's arguments in order. @throws RangeError past the end */
export class Reader {
  #at = 0;
  constructor(private readonly bytes: Buffer) {}

  uint8(): number {
    return this.bytes.readUInt8(this.#move(1));
  }

  uint16(): number {
    return this.bytes.readUInt16BE(this.#move(2));
  }

  uint32(): number {
    return this.bytes.readUInt32BE(this.#move(4));
  }

  shortString(): string {
    return this.#text(this.uint8());
  }

  longString(): string {
    return this.#text(this.uint32());
  }

  table(): Table {
    const end = this.uint32() + this.#at;
    const result: Record<string, TableValue> = {};
    while (this.#at < end) result[this.shortString()] = this.#value();
    return result;
  }

  #value(): TableValue {
    const type = String.fromCharCode(this.uint8());
    switch (type) {
      case 't':
        return this.uint8() !== 0;
      case 'b':
        return this.bytes.readInt8(this.#move(1));
      case 'B':
        return this.uint8();
      case 's':
      case 'U':
        return this.bytes.readInt16BE(this.#move(2));
      case 'u':
        return this.uint16();
      case 'I':
        return this.bytes.readInt32BE(this.#move(4));
      case 'i':
        return this.uint32();
      case 'l':
      case 'L':
      case 'T':
        return Number(this.bytes.readBigInt64BE(this.#move(8)));
      case 'f':
        return this.bytes.readFloatBE(this.#move(4));
      case 'd':
        return this.bytes.readDoubleBE(this.#move(8));
      case 'D':
        return this.bytes.readInt32BE(this.#move(5) + 1);
      case 'S':
      case 'x':
        return this.longString();
      case 'F':
        return this.table();
      case 'A': {
        const end = this.uint32() + this.#at;
        const items: TableValue[] = [];
        while (this.#at < end) items.push(this.#value());
        return items;
      }
      case 'V':
        return null;
      default:
        throw new RangeError(`field type ${JSON.stringify(type)}`);
    }
  }

  #text(length: number): string {
    const start = this.#move(length);
    return this.bytes.toString('utf8', start, start + length);
  }

  #move(length: number): number {
    const start = this.#at;
    if (start + length > this.bytes.length) throw new RangeError('the method ends too early');
    this.#at += length;
    return start;
  }
}
