import { describe, expect, it } from 'vitest';
import { evaluateCount, parseCount } from './count.js';
import { cpuCount } from './cpus.js';

const quota = (version: 1 | 2, cpus: number) => ({ version, quota: cpus * 100_000, period: 100_000 });

describe('cpuCount', () => {
  it.each([
    ['affinity alone', 2, [], 2, 'affinity'],
    ['a quota below affinity', 2, [quota(2, 1.5)], 1.5, 'cgroup v2'],
    ['a quota below one CPU', 2, [quota(1, 0.25)], 0.25, 'cgroup v1'],
    ['a quota above affinity', 2, [quota(2, 8)], 2, 'affinity'],
    ['the tightest of the ancestors', 16, [quota(2, 8), quota(2, 3), quota(2, 6)], 3, 'cgroup v2'],
    ['a period of its own', 4, [{ version: 1 as const, quota: 5_000, period: 10_000 }], 0.5, 'cgroup v1'],
    ['nonsense from the kernel', 4, [{ version: 1 as const, quota: 1, period: 0 }], 4, 'affinity'],
    ['an affinity of nothing', 0, [], 1, 'affinity'],
  ])('%s', (_title, affinity, quotas, cpus, source) => {
    expect(cpuCount({ affinity, quotas })).toEqual({ cpus, source });
  });
});

describe('counts', () => {
  it.each<[string | number, number, number, string]>([
    ['2N+1', 0.25, 1, 'floor(2*0.25)+1 = 1'],
    ['2N+1', 0.5, 2, '2*0.5+1 = 2'],
    ['2N+1', 1, 3, '2*1+1 = 3'],
    ['2N+1', 1.5, 4, '2*1.5+1 = 4'],
    ['2N+1', 2, 5, '2*2+1 = 5'],
    ['2n + 1', 16, 33, '2*16+1 = 33'],
    ['N', 0.25, 1, 'floor(0.25) = 1'],
    ['N', 2.7, 2, 'floor(2.7) = 2'],
    ['N-1', 1, 1, '1-1 = 1'],
    ['N-1', 8, 7, '8-1 = 7'],
    ['auto', 4, 4, '4 = 4'],
    ['cpus', 4, 4, '4 = 4'],
    ['7', 4, 7, 'x = 7'],
    [7, 4, 7, 'x = 7'],
  ])('%s of %d CPUs', (text, cpus, count, reason) => {
    const formula = parseCount(text);
    expect(formula && evaluateCount(formula, { cpus, source: 'affinity' }, 'x')).toEqual({ count, reason });
  });

  it.each(['', 'lots', '2X', 'N+', '1.5', '-1', 'N*2', 'NN', 1.5, Infinity, NaN])('%s is no count', (text) => {
    expect(parseCount(text)).toBeUndefined();
  });
});
