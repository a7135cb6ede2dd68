import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findConfig } from './find.js';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'memt find ')));
  mkdirSync(join(root, 'a/b'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));
const put = (name: string): void => writeFileSync(join(root, name), 'throw new Error("executed")');

describe('findConfig', () => {
  it.each(['ecosystem.config.js', 'ecosystem.config.mjs', 'ecosystem.config.cjs'])('finds %s upward', (name) => {
    put(name);
    expect(findConfig(join(root, 'a/b'))).toEqual({ ok: true, value: { root, file: join(root, name) } });
  });

  it('takes the nearest folder first, then the order of names', () => {
    put('ecosystem.config.js');
    put('a/ecosystem.config.cjs');
    put('a/ecosystem.config.mjs');
    expect(findConfig(join(root, 'a/b'))).toMatchObject({ value: { file: join(root, 'a/ecosystem.config.mjs') } });
  });

  it('passes by a folder of that name', () => {
    put('ecosystem.config.js');
    mkdirSync(join(root, 'a/ecosystem.config.js'));
    expect(findConfig(join(root, 'a'))).toMatchObject({ value: { root } });
  });

  it('takes an explicit file of any name, and a folder', () => {
    put('a/stack.mjs');
    put('ecosystem.config.js');
    expect(findConfig(root, 'a/stack.mjs')).toMatchObject({
      value: { root: join(root, 'a'), file: join(root, 'a/stack.mjs') },
    });
    expect(findConfig(join(root, 'a'), '..')).toMatchObject({ value: { root } });
  });

  it.each([
    [
      'nothing there',
      undefined,
      'config-missing',
      /no ecosystem\.config\.js \(\.mjs, \.cjs, \.ts\) in .*\/a or any folder above it/,
    ],
    ['an explicit file that is missing', 'x.js', 'config-missing', /no config file .*\/a\/x\.js/],
    ['an explicit folder without one', 'b', 'config-missing', /no ecosystem\.config\.js in .*\/a\/b/],
    ['an explicit file of another kind', '../x.json', 'config-unreadable', /x\.json is not a JavaScript module/],
  ])('%s', (_title, file, kind, what) => {
    put('x.json');
    const found = findConfig(join(root, 'a'), file);
    expect(found).toMatchObject({ ok: false, failure: { kind, what: expect.stringMatching(what) } });
  });

  it('names a near miss', () => {
    put('a/ecosystem.config.json');
    expect(findConfig(join(root, 'a'))).toMatchObject({
      failure: {
        cause: expect.stringContaining('ecosystem.config.json'),
        mend: expect.stringContaining('npx memt init'),
      },
    });
  });

  it('a start that is no folder', () => {
    expect(findConfig(join(root, 'nowhere'))).toMatchObject({
      failure: { kind: 'config-missing', what: expect.stringContaining('is not a folder') },
    });
  });

  it.runIf(process.getuid?.() === 0)("does not run another user's file above the start", () => {
    put('ecosystem.config.js');
    chmodSync(root, 0o755);
    chownSync(join(root, 'ecosystem.config.js'), 65_534, 65_534);
    expect(findConfig(join(root, 'a'))).toMatchObject({
      ok: false,
      failure: { cause: expect.stringContaining('belongs to another user') },
    });
    chownSync(join(root, 'a'), 65_534, 65_534);
    expect(findConfig(join(root, 'a'))).toMatchObject({ ok: true });
  });
});
