import { Binary, BSONRegExp, Code, Decimal128, Int32, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { describe, expect, it } from 'vitest';
import { decode } from './decode.js';
import { encode } from './encode.js';
import { arithmetic } from './number.js';
import { compare, keyOf } from './order.js';
import { docOf, type Value } from './value.js';

const decimal = (text: string) => Decimal128.fromString(text);

/** Groups of equal values, in rising order. */
const ORDER: readonly (readonly Value[])[] = [
  [new MinKey()],
  [null],
  [NaN, decimal('NaN')],
  [-Infinity, decimal('-Infinity')],
  [-(2n ** 63n), -(2 ** 63)],
  [new Int32(-1), -1, -1n, decimal('-1.0')],
  [0, -0, new Int32(0), 0n, decimal('0E+5')],
  [decimal('0.1')],
  [0.1],
  [0.5, decimal('0.50')],
  [new Int32(4), 4, decimal('4')],
  [decimal('15'), 15],
  [2 ** 53, 2n ** 53n],
  [2n ** 53n + 1n, decimal('9007199254740993')],
  [2n ** 63n - 1n],
  [decimal('1E+6000')],
  [Infinity],
  [''],
  ['a'],
  ['aa'],
  ['ﬀ'],
  ['🎈'],
  [new Map()],
  [docOf({ a: 1 }), docOf({ a: new Int32(1) })],
  [docOf({ a: 1, b: 1 })],
  [docOf({ b: 0 })],
  [[]],
  [[1]],
  [[1, 2]],
  [[2]],
  [new Binary(Buffer.from('z'), 0)],
  [new Binary(Buffer.from('z'), 5)],
  [new Binary(Buffer.from('aa'), 0)],
  [new ObjectId('000000000000000000000001')],
  [new ObjectId('ff0000000000000000000000')],
  [false],
  [true],
  [new Date(-1)],
  [new Date(1)],
  [new Timestamp({ t: 1, i: 2 })],
  [new Timestamp({ t: 2, i: 0 })],
  [new BSONRegExp('a', '')],
  [new BSONRegExp('a', 'i')],
  [new Code('x')],
  [new MaxKey()],
];

describe('order of BSON values', () => {
  const flat = ORDER.flatMap((group, place) => group.map((value) => ({ value, place })));

  it('is one order across all types', () => {
    for (const a of flat) {
      for (const b of flat)
        expect(Math.sign(compare(a.value, b.value)), `${String(a.place)} ${String(b.place)}`).toBe(
          Math.sign(a.place - b.place),
        );
    }
  });

  it('has equal keys for equal values and only those', () => {
    for (const a of flat)
      for (const b of flat)
        expect(keyOf(a.value) === keyOf(b.value), `${String(a.place)} ${String(b.place)}`).toBe(a.place === b.place);
  });

  it('survives the way over the wire, byte by byte', () => {
    const doc = new Map(flat.map(({ value }, index) => [`${flat.length - index}`, value]));
    const bytes = encode(doc);
    expect(encode(decode(bytes)).equals(bytes)).toBe(true);
    expect([...decode(bytes).keys()]).toEqual([...doc.keys()]);
  });
});

describe('arithmetic', () => {
  it.each<[Value, '+' | '-' | '*', Value, Value | null]>([
    [new Int32(1), '+', new Int32(2), new Int32(3)],
    [new Int32(2147483647), '+', new Int32(1), 2147483648n],
    [new Int32(1), '+', 1.5, 2.5],
    [1n, '+', new Int32(1), 2n],
    [2n ** 63n - 1n, '+', 1n, null],
    [new Int32(65536), '*', new Int32(65536), 4294967296n],
    [decimal('0.1'), '+', decimal('0.2'), decimal('0.3')],
    [decimal('1.50'), '*', new Int32(2), decimal('3.00')],
    [new Int32(5), '-', 7n, -2n],
  ])('%s %s %s', (a, operator, b, wanted) => {
    expect(arithmetic(operator, a as never, b as never)).toEqual(wanted);
  });
});

describe('decoding', () => {
  it.each([
    ['cut short', Buffer.from([10, 0, 0, 0, 0])],
    ['unknown type', Buffer.from([8, 0, 0, 0, 0x44, 97, 0, 0])],
    ['string without end', Buffer.from([14, 0, 0, 0, 2, 97, 0, 2, 0, 0, 0, 98, 98, 0])],
    ['bad boolean', Buffer.from([9, 0, 0, 0, 8, 97, 0, 2, 0])],
    ['bad UTF-8', Buffer.from([14, 0, 0, 0, 2, 97, 0, 2, 0, 0, 0, 255, 0, 0])],
  ])('refuses a document that is %s', (_name, bytes) => {
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 22 }) as Error);
  });

  it('refuses endless nesting', () => {
    let nested: Value = new Map();
    for (let depth = 0; depth < 300; depth += 1) nested = docOf({ a: nested });
    const bytes = encode(nested);
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 15 }) as Error);
  });
});
