import { expect, it } from 'vitest';
import { awaitsAtTop } from './top-level-await.js';

it.each([
  ['const a = await b();', true],
  ['export const { x } = await load();', true],
  ['for await (const x of y) {}', true],
  ['async function f() { await g(); }', false],
  ['const f = async () => { await g(); };', false],
  ['const f = async () => await g();', false],
  ['// await x', false],
  ['/* await x */', false],
  ["const s = 'await x';", false],
  ['const s = `await ${x}`;', false],
  ['const o = { await: 1 };', false],
  ['o.await(1)', false],
  ['const awaited = 1;', false],
])('%s: %s', (source, expected) => {
  expect(awaitsAtTop(source)).toBe(expected);
});
