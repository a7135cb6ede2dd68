import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from './duration.js';

describe('parseDuration', () => {
  it.each<[string | number, number | undefined]>([
    ['30s', 30_000],
    ['500ms', 500],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['2d', 172_800_000],
    [' 5 min ', 300_000],
    ['30000', 30_000],
    [30_000, 30_000],
    [0, 0],
    ['0', 0],
    ['1 H', 3_600_000],
    ['', undefined],
    ['s', undefined],
    ['-1s', undefined],
    [-1, undefined],
    ['1s2', undefined],
    ['soon', undefined],
    [NaN, undefined],
    [Infinity, undefined],
    ['60d', undefined],
    ['1e3', undefined],
  ])('%j', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0.0 s'],
    [449, '0.4 s'],
    [9949, '9.9 s'],
    [9950, '10 s'],
    [59_400, '59 s'],
    [60_000, '1 min'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
    [273_600_000, '3 d 4 h'],
  ])('%d', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
