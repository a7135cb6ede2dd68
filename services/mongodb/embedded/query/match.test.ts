import { BSONRegExp } from 'bson';
import { describe, expect, it } from 'vitest';
import type { Doc } from '../bson/value.js';
import { bson } from '../../../../test/contract/mongodb-literals.js';
import { compileMatch } from './match.js';

const match = (query: object, doc: object): boolean => compileMatch(bson(query) as Doc)(bson(doc) as Doc);

describe('match', () => {
  it.each<[object, object, boolean]>([
    [{}, { a: 1 }, true],
    [{ a: 1 }, { a: 1.0 }, true],
    [{ a: 1 }, { a: [3, 1] }, true],
    [{ a: [3, 1] }, { a: [3, 1] }, true],
    [{ a: [1, 3] }, { a: [3, 1] }, false],
    [{ a: null }, {}, true],
    [{ a: null }, { a: 0 }, false],
    [{ 'a.b': null }, { a: [{ b: 1 }, {}] }, true],
    [{ 'a.b': null }, { a: [1, 2] }, false],
    [{ 'a.b': null }, { a: 5 }, true],
    [{ 'a.b': 1 }, { a: [{ b: 2 }, { b: [0, 1] }] }, true],
    [{ 'a.1': 5 }, { a: [4, 5] }, true],
    [{ 'a.0.b': 5 }, { a: [{ b: 5 }] }, true],
    [{ a: { b: 1, c: 2 } }, { a: { c: 2, b: 1 } }, false],
    [{ a: { $gt: 1 } }, { a: 'x' }, false],
    [{ a: { $gte: null } }, {}, true],
    [{ a: { $gt: 1, $lt: 3 } }, { a: [0, 5] }, true],
    [{ a: { $elemMatch: { $gt: 1, $lt: 3 } } }, { a: [0, 5] }, false],
    [{ a: { $elemMatch: { b: 1, c: 2 } } }, { a: [{ b: 1 }, { c: 2 }] }, false],
    [{ a: { $elemMatch: { b: 1, c: 2 } } }, { a: [{ b: 1, c: 2 }] }, true],
    [{ a: { $ne: 1 } }, { a: [1, 2] }, false],
    [{ a: { $nin: [1, 2] } }, {}, true],
    [{ a: { $in: [null] } }, {}, true],
    [{ a: { $in: [new BSONRegExp('^x')] } }, { a: 'xy' }, true],
    [{ a: { $not: { $gt: 5 } } }, {}, true],
    [{ a: { $exists: true } }, { a: null }, true],
    [{ a: { $exists: false } }, { a: [] }, false],
    [{ a: { $type: 'number' } }, { a: 1.5 }, true],
    [{ a: { $type: 'int' } }, { a: 1.5 }, false],
    [{ a: { $type: ['array', 'null'] } }, { a: [] }, true],
    [{ a: { $size: 2 } }, { a: [1, [2]] }, true],
    [{ a: { $all: [1, 2] } }, { a: [2, 3, 1] }, true],
    [{ a: { $all: [] } }, { a: [] }, false],
    [{ a: { $mod: [4, 2] } }, { a: 6.9 }, true],
    [{ a: { $regex: 'B', $options: 'i' } }, { a: ['xby'] }, true],
    [{ a: { $regex: '^b', $options: 'm' } }, { a: 'a\nb' }, true],
    [{ a: { $bitsAllSet: 5 } }, { a: 7 }, true],
    [{ a: { $bitsAnyClear: [1, 3] } }, { a: 10 }, false],
    [{ $or: [{ a: 1 }, { b: 2 }] }, { b: 2 }, true],
    [{ $nor: [{ a: 1 }, { b: 2 }] }, { b: 2 }, false],
    [{ $and: [{ a: { $gt: 0 } }, { a: { $lt: 2 } }] }, { a: 1 }, true],
    [{ $expr: { $gt: ['$a', '$b'] } }, { a: 2, b: 1 }, true],
    [{ a: NaN }, { a: NaN }, true],
    [{ a: { $lt: 5 } }, { a: NaN }, false],
    [{ '': 1 }, { '': 1 }, true],
    [{ '__proto__.x': 1 }, { a: 1 }, false],
    [{ constructor: { $exists: true } }, {}, false],
  ])('%j on %j: %s', (query, doc, wanted) => {
    expect(match(query, doc)).toBe(wanted);
  });

  it.each<[object, number]>([
    [{ a: { $foo: 1 } }, 2],
    [{ $foo: 1 }, 2],
    [{ a: { $in: 1 } }, 2],
    [{ $or: [] }, 2],
    [{ a: { $not: 1 } }, 2],
    [{ a: { $mod: [0, 1] } }, 2],
    [{ a: { $type: 'foo' } }, 2],
    [{ a: { $gt: 1, b: 1 } }, 2],
    [{ a: { $regex: '(' } }, 51091],
    [{ $where: '1' }, 238],
    [{ $text: {} }, 238],
    [{ a: { $near: [] } }, 238],
  ])('refuses %j with %i', (query, code) => {
    expect(() => compileMatch(bson(query) as Doc)).toThrow(expect.objectContaining({ code }) as Error);
  });
});
