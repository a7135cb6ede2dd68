import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FailureError } from '../model/failure.js';
import { init } from './init-run.js';

let root: string;
let printed: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'memt init ')));
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true, force: true });
});
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

describe('init', () => {
  it('writes a whole project into a new folder', () => {
    expect(init('Mein Shop', { dir: root })).toBe(0);
    expect(read('Mein Shop/ecosystem.config.js')).toContain(
      "export const { apps, memt } = defineStack({\n  web: { app: './app/server.js' }",
    );
    expect(JSON.parse(read('Mein Shop/package.json'))).toMatchObject({
      name: 'mein-shop',
      type: 'module',
      dependencies: { memt: expect.any(String) },
    });
    expect(read('Mein Shop/.gitignore')).toBe('node_modules/\n.memt/\n.env\n');
    expect(existsSync(join(root, 'Mein Shop/app/server.js'))).toBe(true);
    expect(printed).toMatch(/new +app\/server\.js[\s\S]*Next: cd '.*Mein Shop' && npm install && npx memt up/);
  });

  it('a second time changes nothing', () => {
    init('.', { dir: root });
    printed = '';
    expect(init('.', { dir: root, json: true })).toBe(0);
    expect(JSON.parse(printed)).toMatchObject({ schema: 1, root, created: [], overwritten: [], appended: [] });
  });

  it('overwrites nothing: names what is there and writes nothing else', () => {
    writeFileSync(join(root, 'ecosystem.config.js'), 'mine');
    const attempt = (): unknown => init('.', { dir: root });
    expect(attempt).toThrow(FailureError);
    expect(existsSync(join(root, 'app'))).toBe(false);
    expect(read('ecosystem.config.js')).toBe('mine');
    try {
      attempt();
    } catch (error) {
      expect(error).toMatchObject({ failure: { kind: 'usage', evidence: ['ecosystem.config.js'] } });
    }
  });

  it('--force overwrites files of the sample, never package.json, and follows no link', () => {
    writeFileSync(join(root, 'outside'), 'mine');
    symlinkSync(join(root, 'outside'), join(root, 'ecosystem.config.js'));
    writeFileSync(join(root, 'package.json'), '{"name":"mine","type":"module"}');
    init('.', { dir: root, force: true });
    expect(read('outside')).toBe('mine');
    expect(read('ecosystem.config.js')).toContain('defineStack');
    expect(read('package.json')).toBe('{"name":"mine","type":"module"}');
    expect(printed).toMatch(/overwritten +ecosystem\.config\.js/);
  });

  it('speaks CommonJS in a CommonJS project', () => {
    writeFileSync(join(root, 'package.json'), '{"name":"old","type":"commonjs"}');
    init('.', { dir: root });
    expect(read('ecosystem.config.js')).toContain(
      "const { defineStack } = require('memt/config');\n\nmodule.exports = defineStack({",
    );
    expect(read('app/package.json')).toContain('"type": "module"');
  });

  it('adds only what .gitignore lacks', () => {
    writeFileSync(join(root, '.gitignore'), '/node_modules\n*.log');
    init('.', { dir: root });
    expect(read('.gitignore')).toBe('/node_modules\n*.log\n.memt/\n.env\n');
  });

  it('stops at a package.json that is broken', () => {
    writeFileSync(join(root, 'package.json'), '{');
    expect(() => init('.', { dir: root })).toThrow(/package\.json cannot be read/);
  });
});
