import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Failure } from '../model/failure.js';
import { checkInstallation } from './preflight.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'memt-preflight-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function json(name: string, value: unknown): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), typeof value === 'string' ? value : JSON.stringify(value));
}
const failure = (environment = 'local', node = '20.20.0'): Failure | null => {
  const result = checkInstallation(root, environment, node);
  return result.ok ? null : result.failure;
};

type Packages = Readonly<
  Record<string, { version?: string; dev?: boolean; optional?: boolean; link?: boolean; peer?: boolean }>
>;
function project(dependencies: Readonly<Record<string, string>>, lock: Packages, installed: Packages): void {
  json('package.json', { name: 'app', dependencies });
  json('package-lock.json', { lockfileVersion: 3, packages: { '': { name: 'app', dependencies }, ...lock } });
  json('node_modules/.package-lock.json', { lockfileVersion: 3, packages: installed });
  for (const path of Object.keys(installed)) json(`${path}/package.json`, {});
}
const at = (version: string, more: object = {}) => ({ version, ...more });

describe('checkInstallation', () => {
  it('has nothing to say without a package.json or dependencies', () => {
    expect(failure()).toBeNull();
    json('package.json', { name: 'app' });
    expect(failure()).toBeNull();
  });

  it('a package.json that is broken', () => {
    json('package.json', '{ "name": ');
    expect(failure()).toMatchObject({
      kind: 'installation',
      what: expect.stringContaining('package.json cannot be read'),
    });
  });

  it.each([
    ['package-lock.json', 'npm ci'],
    ['yarn.lock', 'yarn install --frozen-lockfile'],
    ['pnpm-lock.yaml', 'pnpm install --frozen-lockfile'],
    ['none', 'npm install'],
  ])('no node_modules, lock file %s: %s', (lock, mend) => {
    json('package.json', { dependencies: { a: '1' } });
    if (lock !== 'none') json(lock, '{}');
    expect(failure()).toMatchObject({
      kind: 'installation',
      what: expect.stringContaining('there is no node_modules'),
      mend,
    });
  });

  it('Node against engines', () => {
    json('package.json', { engines: { node: '>=22.12' } });
    expect(failure('local', '20.20.0')).toMatchObject({
      kind: 'installation',
      what: expect.stringContaining('this is Node 20.20.0, but'),
    });
    expect(failure('local', '22.12.0')).toBeNull();
  });

  it('in step', () => {
    project(
      { a: '1' },
      { 'node_modules/a': at('1.0.0'), 'node_modules/a/node_modules/b': at('2.0.0') },
      { 'node_modules/a': at('1.0.0'), 'node_modules/a/node_modules/b': at('2.0.0') },
    );
    expect(failure()).toBeNull();
  });

  it('names the first three that differ and counts the rest', () => {
    const lock = Object.fromEntries(['a', 'b', '@s/c', 'd', 'e'].map((name) => [`node_modules/${name}`, at('2.0.0')]));
    project({ a: '2' }, lock, { 'node_modules/a': at('1.0.0'), 'node_modules/b': at('2.0.0') });
    expect(failure()).toMatchObject({
      what: `node_modules of ${root} is out of step with package-lock.json: a is 1.0.0 instead of 2.0.0, @s/c 2.0.0 is not installed, d 2.0.0 is not installed and 1 more`,
      mend: 'npm ci',
    });
  });

  it('optional, linked and absent peer packages may be missing', () => {
    project(
      { a: '1' },
      {
        'node_modules/a': at('1.0.0'),
        'node_modules/fsevents': at('2.0.0', { optional: true }),
        'node_modules/w': { link: true },
        'node_modules/p': at('1.0.0', { peer: true }),
      },
      { 'node_modules/a': at('1.0.0') },
    );
    expect(failure()).toBeNull();
  });

  it('development packages count only when some are installed, and never in production', () => {
    const lock = {
      'node_modules/a': at('1.0.0'),
      'node_modules/t': at('2.0.0', { dev: true }),
      'node_modules/u': at('1.0.0', { dev: true }),
    };
    project({ a: '1' }, lock, { 'node_modules/a': at('1.0.0') });
    expect(failure()).toBeNull();
    project({ a: '1' }, lock, { 'node_modules/a': at('1.0.0'), 'node_modules/u': at('1.0.0', { dev: true }) });
    expect(failure()?.what).toContain('t 2.0.0 is not installed');
    expect(failure('production')).toBeNull();
  });

  it('a dependency that the lock file does not know', () => {
    project({ a: '1', fresh: '1' }, { 'node_modules/a': at('1.0.0') }, { 'node_modules/a': at('1.0.0') });
    expect(failure()).toMatchObject({
      what: expect.stringContaining('out of step with package.json: fresh is not installed'),
      mend: 'npm install',
    });
  });

  it("Yarn's Plug'n'Play needs no node_modules", () => {
    json('package.json', { dependencies: { a: '1' } });
    json('yarn.lock', '');
    json('.pnp.cjs', '');
    expect(failure()).toBeNull();
  });

  it('a workspace member uses the lock file above it, a stranger does not', () => {
    project({}, { 'node_modules/a': at('2.0.0'), 'packages/app': {} }, { 'node_modules/a': at('1.0.0') });
    json('packages/app/package.json', { dependencies: { a: '2' } });
    json('other/package.json', { dependencies: { a: '2' } });
    const member = checkInstallation(join(root, 'packages/app'), 'local', '20.20.0');
    expect(member).toMatchObject({
      ok: false,
      failure: { what: expect.stringContaining('a is 1.0.0 instead of 2.0.0') },
    });
    expect(checkInstallation(join(root, 'other'), 'local', '20.20.0')).toMatchObject({ ok: true });
  });

  it('takes less than 20 ms for 300 packages', () => {
    const packages = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`node_modules/package-${index}`, at('1.0.0')]),
    );
    project({ 'package-0': '1' }, packages, packages);
    expect(failure()).toBeNull();
    const runs = Array.from({ length: 5 }, () => {
      const start = performance.now();
      checkInstallation(root, 'local', '20.20.0');
      return performance.now() - start;
    });
    expect(Math.min(...runs)).toBeLessThan(20);
  });
});
