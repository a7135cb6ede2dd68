import { describe, expect, it } from 'vitest';
import { closure, startOrder } from './graph.js';

const stack = [
  { name: 'web', dependsOn: ['mongodb', 'rabbitmq'], after: ['worker'] },
  { name: 'worker', dependsOn: ['mongodb', 'rabbitmq'] },
  { name: 'mongodb', dependsOn: [] },
  { name: 'rabbitmq', dependsOn: [] },
];

describe('startOrder', () => {
  it('puts everything after what it depends on and what it follows', () => {
    expect(startOrder(stack)).toEqual(['mongodb', 'rabbitmq', 'worker', 'web']);
  });
  it('ignores dependencies that are switched off', () => {
    expect(startOrder([{ name: 'web', dependsOn: ['mongodb'] }])).toEqual(['web']);
  });
  it('names the cycle', () => {
    const cycle = [
      { name: 'a', dependsOn: ['b'] },
      { name: 'b', dependsOn: ['a'] },
    ];
    expect(() => startOrder(cycle)).toThrow('a -> b -> a');
  });
});

describe('closure', () => {
  it.each([
    [['web'], ['mongodb', 'rabbitmq', 'web']],
    [['worker'], ['mongodb', 'rabbitmq', 'worker']],
    [['mongodb'], ['mongodb']],
    [[], ['mongodb', 'rabbitmq', 'worker', 'web']],
  ])('of %j is %j', (wanted, expected) => {
    expect(closure(stack, wanted)).toEqual(expected);
  });
});
