import { describe, expect, it } from 'vitest';
import { formatBytes, parseBytes } from './bytes.js';

describe('parseBytes', () => {
  it.each<[string | number, number | undefined]>([
    ['16MB', 16_000_000],
    ['16MiB', 16_777_216],
    ['16m', 16_777_216],
    ['512b', 512],
    ['1.5k', 1536],
    ['2 GB', 2_000_000_000],
    [1024, 1024],
    ['0', 0],
    ['', undefined],
    ['-1', undefined],
    ['5ib', undefined],
    ['mb', undefined],
    ['1e99', undefined],
    ['99999999T', undefined],
    [NaN, undefined],
    [Infinity, undefined],
  ])('%j', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });
});

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [512, '512 B'],
    [1023, '1023 B'],
    [1024, '1.0 KB'],
    [45_088_768, '43 MB'],
    [1_288_490_189, '1.2 GB'],
    [1_048_575, '1.0 MB'],
  ])('%d', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
