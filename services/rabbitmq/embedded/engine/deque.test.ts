import { describe, expect, it } from 'vitest';
import { Deque } from './deque.js';

describe('a deque', () => {
  it('behaves like an array at both ends and in the middle, at any size', () => {
    const deque = new Deque<number>();
    let model: number[] = [];
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    for (let step = 0; step < 20_000; step += 1) {
      const value = step % 5000 < 3000 ? random(4) : 3 + random(2);
      switch (value) {
        case 0: {
          const last = (model.at(-1) ?? 0) + 1;
          deque.push(last);
          model.push(last);
          break;
        }
        case 1: {
          const first = (model[0] ?? 0) - 1;
          deque.unshift(first);
          model.unshift(first);
          break;
        }
        case 2: {
          const wanted = (model[random(model.length)] ?? 0) + 0.5;
          deque.insert(wanted, (other) => other > wanted);
          model = [...model, wanted].sort((a, b) => a - b);
          break;
        }
        default:
          expect(deque.peek()).toBe(model[0]);
          expect(deque.shift()).toBe(model.shift());
      }
      expect(deque.length).toBe(model.length);
    }
    expect([...deque]).toEqual(model);
  });
});
