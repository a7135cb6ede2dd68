import { expect, it } from 'vitest';
import { inRange } from './semver-range.js';

it.each<[string, string, boolean | undefined]>([
  ['20.19.0', '>=20.19', true],
  ['20.18.9', '>=20.19', false],
  ['v22.1.0', '>=20.19', true],
  ['20.20.2', '^20.19 || >=22.12', true],
  ['21.0.0', '^20.19 || >=22.12', false],
  ['22.12.0', '^20.19 || >=22.12', true],
  ['20.1.0', '20', true],
  ['21.0.0', '20', false],
  ['20.1.0', '20.x', true],
  ['20.2.0', '~20.1', false],
  ['20.1.9', '~20.1.3', true],
  ['18.0.0', '18 - 22', true],
  ['22.9.9', '18 - 22', true],
  ['23.0.0', '18 - 22', false],
  ['20.0.0', '>=18 <21', true],
  ['21.0.0', '>= 18 < 21', false],
  ['5.0.0', '*', true],
  ['5.0.0', '', true],
  ['20.0.0', '>20', false],
  ['21.0.0', '>20', true],
  ['20.5.0', '<=20', true],
  ['0.2.5', '^0.2.3', true],
  ['0.3.0', '^0.2.3', false],
  ['20.1.1', '=20.1.1', true],
  ['20.0.0', 'lts/*', undefined],
  ['20.0.0', 'latest', undefined],
  ['x', '*', undefined],
])('%s in %s: %s', (version, range, expected) => {
  expect(inRange(version, range)).toBe(expected);
});
