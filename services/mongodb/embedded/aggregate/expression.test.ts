import { Decimal128, ObjectId } from 'bson';
import { describe, expect, it } from 'vitest';
import type { Doc } from '../bson/value.js';
import { bson, plain } from '../../../../test/contract/mongodb-literals.js';
import { compileProjection } from '../query/projection.js';
import { compileExpression } from './expression.js';

const DOC = bson({
  a: 5,
  b: -2.5,
  s: 'héllo World',
  l: [3, 1, 2],
  d: new Date('2024-02-29T13:04:05.006Z'),
  o: { x: 1, y: [{ z: 1 }, { z: 2 }] },
  n: null,
}) as Doc;
const run = (expression: unknown): unknown => plain(compileExpression(bson(expression))(DOC, new Map()));

describe('expressions', () => {
  it.each<[unknown, unknown]>([
    ['$a', 5],
    ['$o.y.z', [1, 2]],
    ['$nope', undefined],
    ['$$ROOT.o.x', 1],
    [{ $add: ['$a', 1, '$b'] }, 3.5],
    [{ $add: ['$a', '$n'] }, null],
    [{ $add: ['$d', 1000] }, new Date('2024-02-29T13:04:06.006Z')],
    [{ $subtract: ['$d', '$d'] }, 0n],
    [{ $divide: ['$a', 2] }, 2.5],
    [{ $mod: ['$a', 3] }, 2],
    [{ $abs: '$b' }, 2.5],
    [{ $round: ['$b', 0] }, -2],
    [{ $round: [2.675, 2] }, 2.67],
    [{ $trunc: '$b' }, -2],
    [{ $floor: '$b' }, -3],
    [{ $pow: [2, 40] }, 1099511627776n],
    [{ $cond: [{ $gt: ['$a', 3] }, 'yes', 'no'] }, 'yes'],
    [{ $ifNull: ['$n', '$nope', 'd'] }, 'd'],
    [{ $switch: { branches: [{ case: { $eq: ['$a', 5] }, then: 1 }], default: 2 } }, 1],
    [{ $concat: ['$s', '!'] }, 'héllo World!'],
    [{ $toUpper: '$s' }, 'HéLLO WORLD'],
    [{ $substrCP: ['$s', 1, 3] }, 'éll'],
    [{ $strLenBytes: '$s' }, 12],
    [{ $split: ['$s', ' '] }, ['héllo', 'World']],
    [{ $trim: { input: '  x ' } }, 'x'],
    [{ $regexFind: { input: '$s', regex: 'W(o)' } }, { match: 'Wo', idx: 6, captures: ['o'] }],
    [{ $replaceAll: { input: '$s', find: 'l', replacement: { $literal: '$&' } } }, 'hé$&$&o Wor$&d'],
    [{ $size: '$l' }, 3],
    [{ $arrayElemAt: ['$l', -1] }, 2],
    [{ $slice: ['$l', 1, 5] }, [1, 2]],
    [{ $filter: { input: '$l', cond: { $gt: ['$$this', 1] } } }, [3, 2]],
    [{ $map: { input: '$l', as: 'v', in: { $multiply: ['$$v', '$a'] } } }, [15, 5, 10]],
    [{ $reduce: { input: '$l', initialValue: 0, in: { $add: ['$$value', '$$this'] } } }, 6],
    [{ $sortArray: { input: '$l', sortBy: -1 } }, [3, 2, 1]],
    [{ $in: [2, '$l'] }, true],
    [{ $range: [0, 6, 2] }, [0, 2, 4]],
    [{ $setUnion: ['$l', [1, 9]] }, [3, 1, 2, 9]],
    [{ $mergeObjects: ['$o', { x: 2 }] }, { x: 2, y: [{ z: 1 }, { z: 2 }] }],
    [{ $objectToArray: { k1: 1 } }, [{ k: 'k1', v: 1 }]],
    [{ $arrayToObject: [[['q', 1]]] }, { q: 1 }],
    [{ $year: '$d' }, 2024],
    [{ $dayOfYear: '$d' }, 60],
    [{ $hour: { date: '$d', timezone: '+02:30' } }, 15],
    [{ $dateToString: { date: '$d', format: '%Y/%m/%d %H:%M:%S.%L' } }, '2024/02/29 13:04:05.006'],
    [{ $dateAdd: { startDate: '$d', unit: 'year', amount: 1 } }, new Date('2025-02-28T13:04:05.006Z')],
    [{ $toString: '$a' }, '5'],
    [{ $toInt: '12' }, 12],
    [{ $toDecimal: '1.5' }, Decimal128.fromString('1.5')],
    [{ $toObjectId: '000000000000000000000001' }, new ObjectId('000000000000000000000001')],
    [{ $convert: { input: 'x', to: 'int', onError: -1 } }, -1],
    [{ $type: '$nope' }, 'missing'],
    [{ $literal: '$a' }, '$a'],
    [{ $let: { vars: { v: { $add: ['$a', 1] } }, in: '$$v' } }, 6],
    [{ $lt: ['$nope', null] }, true],
    [{ $sum: '$l' }, 6],
    [{ $avg: '$l' }, 2],
    [{ $max: '$l' }, 3],
  ])('%j', (expression, wanted) => {
    expect(run(expression)).toEqual(wanted);
  });

  it.each<[unknown, number]>([
    [{ $nope: 1 }, 168],
    [{ $function: {} }, 238],
    [{ $add: ['$a', 'x'] }, 14],
    [{ $divide: [1, 0] }, 2],
    [{ $toInt: 'x' }, 241],
    [{ $size: '$a' }, 17124],
    [{ $cond: [1] }, 16020],
    [{ $add: [1], $subtract: [1] }, 15983],
    ['$$nope', 17276],
  ])('%j is error %i', (expression, code) => {
    expect(() => run(expression)).toThrow(expect.objectContaining({ code }) as Error);
  });
});

describe('projection', () => {
  const project = (spec: object, stage: '$project' | '$addFields' = '$project'): unknown =>
    plain(
      compileProjection(bson(spec) as Doc, { stage })(
        bson({ _id: 1, a: 1, b: { c: 2, d: [{ e: 1, f: 2 }, 5] } }) as Doc,
      ),
    );

  it.each<[object, unknown]>([
    [{ a: 1 }, { _id: 1, a: 1 }],
    [{ 'b.d.e': 1, _id: 0 }, { b: { d: [{ e: 1 }] } }],
    [{ 'b.d.e': 0 }, { _id: 1, a: 1, b: { c: 2, d: [{ f: 2 }, 5] } }],
    [{ _id: 0 }, { a: 1, b: { c: 2, d: [{ e: 1, f: 2 }, 5] } }],
    [{ x: '$b.c', _id: 0 }, { x: 2 }],
    [{ x: { y: '$a' }, _id: 0 }, { x: { y: 1 } }],
  ])('%j', (spec, wanted) => {
    expect(project(spec)).toEqual(wanted);
  });

  it('$addFields', () => {
    expect(project({ 'b.c': 9, z: 0, a: '$$REMOVE' }, '$addFields')).toEqual({
      _id: 1,
      b: { c: 9, d: [{ e: 1, f: 2 }, 5] },
      z: 0,
    });
  });
});
