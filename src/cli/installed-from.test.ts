import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { installedFrom } from './installed-from.js';

const root = mkdtempSync(join(tmpdir(), 'memt-from-'));
afterAll(() => {
  rmSync(root, { recursive: true });
});

const folder = join(root, 'shop/node_modules/memt');
mkdirSync(folder, { recursive: true });

test.each([
  ['file:../memt-0.1.0.tgz', 'file:../memt-0.1.0.tgz'],
  ['file:packages/memt.tgz', 'file:../shop/packages/memt.tgz'],
  ['git+https://example.org/memt.git#4f2c', 'git+https://example.org/memt.git#4f2c'],
  ['https://example.org/memt/-/memt-0.1.0.tgz', null],
  [undefined, null],
])('%s -> %s', (resolved, wanted) => {
  const packages = { 'node_modules/memt': { version: '0.1.0', resolved } };
  writeFileSync(join(root, 'shop/node_modules/.package-lock.json'), JSON.stringify({ packages }));
  expect(installedFrom(folder, join(root, 'other'))).toBe(wanted);
});

test.each(['', '{', 'null', '{"packages":{"node_modules/memt":null}}'])('a record that is no record: %j', (text) => {
  writeFileSync(join(root, 'shop/node_modules/.package-lock.json'), text);
  expect(installedFrom(folder, root)).toBeNull();
});
