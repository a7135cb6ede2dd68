import { describe, expect, it } from 'vitest';
import type { Doc } from '../bson/value.js';
import { bson, plain } from '../../../../test/contract/mongodb-literals.js';
import { compileUpdate, upsertBase } from './update.js';

function apply(
  doc: object,
  update: object,
  options: { matched?: number; filters?: object[]; inserting?: boolean } = {},
): unknown {
  const updater = compileUpdate(
    bson(update),
    (options.filters ?? []).map((filter) => bson(filter)),
    new Map(),
  );
  return plain(
    updater.apply(bson(doc) as Doc, { matched: options.matched ?? null, inserting: options.inserting ?? false }),
  );
}

describe('update', () => {
  it.each<[object, object, object]>([
    [{ a: 1 }, { $set: { a: 2, 'b.c': 3 } }, { a: 2, b: { c: 3 } }],
    [{ a: [1] }, { $set: { 'a.3': 4 } }, { a: [1, null, null, 4] }],
    [{ a: 1, b: 2 }, { $unset: { a: '', 'x.y': '' } }, { b: 2 }],
    [{ a: [1, 2] }, { $unset: { 'a.0': '' } }, { a: [null, 2] }],
    [{ a: 1 }, { $inc: { a: 2, b: -1 } }, { a: 3, b: -1 }],
    [{ a: 3 }, { $mul: { a: 2, b: 5 } }, { a: 6, b: 0 }],
    [
      { a: 3, b: 3 },
      { $min: { a: 2 }, $max: { b: 9, c: 1 } },
      { a: 2, b: 9, c: 1 },
    ],
    [{ a: 1, c: { d: 2 } }, { $rename: { a: 'b', 'c.d': 'e', x: 'y' } }, { c: {}, b: 1, e: 2 }],
    [{}, { $push: { a: 1 } }, { a: [1] }],
    [{ a: [1] }, { $push: { a: { $each: [5, 3], $position: 0 } } }, { a: [5, 3, 1] }],
    [{ a: [{ s: 2 }] }, { $push: { a: { $each: [{ s: 1 }], $sort: { s: 1 }, $slice: 1 } } }, { a: [{ s: 1 }] }],
    [{ a: [1] }, { $addToSet: { a: { $each: [1, 2, 2] } } }, { a: [1, 2] }],
    [{ a: [1, 2, 3] }, { $pop: { a: -1 } }, { a: [2, 3] }],
    [{ a: [1, 5, 9] }, { $pull: { a: { $gte: 5 } } }, { a: [1] }],
    [{ a: [{ k: 1, v: 1 }, { k: 2 }] }, { $pull: { a: { k: 1 } } }, { a: [{ k: 2 }] }],
    [{ a: [1, 2, 1] }, { $pullAll: { a: [1] } }, { a: [2] }],
    [{ a: 13 }, { $bit: { a: { and: 10 } } }, { a: 8 }],
    [{ a: [{ b: 1 }, { b: 2 }] }, { $inc: { 'a.$[].b': 10 } }, { a: [{ b: 11 }, { b: 12 }] }],
    [{ _id: 1, a: 1 }, { b: 2 }, { _id: 1, b: 2 }],
    [{ a: 1 }, [{ $set: { b: { $add: ['$a', 1] } } }, { $unset: 'a' }], { b: 2 }],
    [{ a: 1 }, { $setOnInsert: { b: 1 } }, { a: 1 }],
  ])('%j with %j gives %j', (doc, update, wanted) => {
    const given = structuredClone(doc);
    expect(apply(doc, update)).toEqual(wanted);
    expect(doc).toEqual(given);
  });

  it('positional and filtered', () => {
    expect(apply({ a: [1, 2] }, { $set: { 'a.$': 9 } }, { matched: 1 })).toEqual({ a: [1, 9] });
    expect(
      apply({ a: [{ v: 1 }, { v: 5 }] }, { $set: { 'a.$[x].v': 0 } }, { filters: [{ 'x.v': { $gt: 2 } }] }),
    ).toEqual({ a: [{ v: 1 }, { v: 0 }] });
    expect(apply({}, { $setOnInsert: { a: 1 } }, { inserting: true })).toEqual({ a: 1 });
  });

  it.each<[object, object, number]>([
    [{ a: 'x' }, { $inc: { a: 1 } }, 14],
    [{ a: 1 }, { $push: { a: 1 } }, 2],
    [{ a: 1 }, { $set: { 'a.b': 1 } }, 28],
    [{ a: 1 }, { $set: { a: 1 }, $inc: { a: 1 } }, 40],
    [{ a: 1 }, { $set: { a: 1, 'a.b': 1 } }, 40],
    [{ a: 1 }, { $set: { 'a.b': 1 }, $unset: { a: 1 } }, 40],
    [{ _id: 1 }, { $set: { _id: 2 } }, 66],
    [{ _id: 1 }, { _id: 2 }, 66],
    [{ a: 1 }, { $foo: { a: 1 } }, 9],
    [{ a: 1 }, { $set: 5 }, 9],
    [{ a: 1 }, { a: 1, $set: { b: 1 } }, 52],
    [{ a: 1 }, { $set: { 'a.$': 1 } }, 2],
    [{ a: 1 }, { $set: { $x: 1 } }, 52],
    [{ a: [1] }, { $set: { 'a.2000000': 1 } }, 2],
    [{ a: 1 }, { $set: { 'a..b': 1 } }, 56],
    [{ a: 1 }, [{ $group: { _id: 1 } }], 72],
  ])('%j with %j is error %i', (doc, update, code) => {
    expect(() => apply(doc, update)).toThrow(expect.objectContaining({ code }) as Error);
  });

  it('an upsert starts from the equalities of its query', () => {
    expect(
      plain(
        upsertBase(
          bson({
            a: 1,
            'b.c': { $eq: 2 },
            d: { $gt: 1 },
            $and: [{ e: 5 }],
            f: { $in: [7] },
            $or: [{ g: 1 }, { h: 1 }],
          }) as Doc,
        ),
      ),
    ).toEqual({ a: 1, b: { c: 2 }, e: 5, f: 7 });
  });
});
