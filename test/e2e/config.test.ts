import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** The real binary on real files: vitest's own loader stands between a unit test and Node's import. */
const repository = resolve(import.meta.dirname, '../..');
const binary = join(repository, 'bin/memt.js');
let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "memt config's (e2e) ")));
  mkdirSync(join(root, 'node_modules'));
  symlinkSync(repository, join(root, 'node_modules/memt'));
  for (const name of ['server.mjs', 'tasks.mjs']) put(name, 'export default () => {};');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(name: string, content: string): void {
  mkdirSync(dirname(join(root, name)), { recursive: true });
  writeFileSync(join(root, name), content);
}

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
function node(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
  const clean = { PATH: process.env['PATH'], HOME: root, NO_COLOR: '1', ...env };
  return new Promise((done) => {
    execFile(process.execPath, args, { cwd: root, env: clean, timeout: 30_000 }, (error, out, err) => {
      done({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}
const memt = (...args: string[]): Promise<Run> => node([binary, ...args]);

const STACK = `{ web: { app: './server.mjs' }, worker: { tasks: './tasks.mjs' }, mongodb: {}, rabbitmq: {} }`;
const ESM = `import { defineStack } from 'memt/config';\nexport const { apps, memt } = defineStack(${STACK});\n`;
const CJS = `const { defineStack } = require('memt/config');\nmodule.exports = defineStack(${STACK});\n`;

describe('the four forms of the config', () => {
  it.each([
    ['ecosystem.config.js', 'module', ESM],
    ['ecosystem.config.js', 'commonjs', CJS],
    ['ecosystem.config.mjs', 'commonjs', ESM],
    ['ecosystem.config.cjs', 'module', CJS],
  ])('%s in a %s package loads in memt and in PM2', async (name, type, source) => {
    put('package.json', JSON.stringify({ name: 'shop', type }));
    put(name, source);
    const checked = await memt('config', 'check', '--json');
    expect({ ...checked, out: JSON.parse(checked.out) as unknown }).toEqual({
      code: 0,
      out: { schema: 1, file: join(root, name), environment: 'local', valid: true, warnings: [] },
      err: '',
    });
    // PM2 takes the file with require, in a process of its own.
    const required = await node([
      '-e',
      `console.log(JSON.stringify(require(${JSON.stringify(join(root, name))}).apps))`,
    ]);
    const apps = JSON.parse(required.out) as { name: string; script: string; env: unknown }[];
    expect(apps.map(({ name: app, script, env }) => ({ app, script, env }))).toEqual([
      {
        app: 'worker',
        script: join(repository, 'dist/services/worker/main.js'),
        env: { MEMT_UNIT: 'worker', MEMT_CONFIG: join(root, name) },
      },
      {
        app: 'web',
        script: join(repository, 'dist/services/web/main.js'),
        env: { MEMT_UNIT: 'web', MEMT_CONFIG: join(root, name) },
      },
    ]);
  });
});

describe('a config that cannot be used ends with 78', () => {
  it.each([
    [
      'a syntax error in an ES module',
      'ecosystem.config.mjs',
      'export const memt = {\n  web: { app ./x },\n};',
      ['ecosystem.config.mjs:2 cannot be loaded: SyntaxError', '> 2 |   web: { app ./x },'],
    ],
    [
      'a syntax error in CommonJS',
      'ecosystem.config.cjs',
      'module.exports = {\n  web: { app ./x },\n};',
      ['ecosystem.config.cjs:2 cannot be loaded: SyntaxError', '> 2 |   web: { app ./x },'],
    ],
    [
      'a throw',
      'ecosystem.config.mjs',
      "const a = 1;\nthrow new TypeError('boom');",
      ['ecosystem.config.mjs:2:7 cannot be loaded: TypeError: boom', "> 2 | throw new TypeError('boom');"],
    ],
    [
      'a package that is not there',
      'ecosystem.config.mjs',
      "import 'no-such-package';",
      ["Cannot find package 'no-such-package'", 'npm install no-such-package'],
    ],
    [
      "PM2's apps alone",
      'ecosystem.config.cjs',
      "module.exports = { apps: [{ script: 'x.js' }] };",
      ["has PM2's apps, but exports no memt"],
    ],
    ['an empty file', 'ecosystem.config.mjs', '', ['exports no memt']],
  ])('%s', async (_title, name, source, texts) => {
    put(name, source);
    const { code, out, err } = await memt('config', 'check');
    expect({ code, out }).toEqual({ code: 78, out: '' });
    for (const text of texts) expect(err).toContain(text);
  });

  it('five errors at once', async () => {
    put(
      'ecosystem.config.mjs',
      `import { defineStack } from 'memt/config';
      export const { apps, memt } = defineStack({ web: { app: './server.mjs', prot: 1, port: 'x' }, mongodb: { port: 0 }, rabbitmq: 7, qeue: {} });`,
    );
    const { code, err } = await memt('config', 'check');
    expect(code).toBe(78);
    expect(err.split('\n').filter((line) => line.startsWith('    '))).toEqual([
      '    ecosystem.config.mjs: web.prot: unknown key; did you mean web.port?',
      "    ecosystem.config.mjs: web.port: expected a port from 1 to 65535, got 'x'",
      '    ecosystem.config.mjs: mongodb.port: expected a port from 1 to 65535, got 0',
      '    ecosystem.config.mjs: rabbitmq: expected an object or false, got the number 7',
      '    ecosystem.config.mjs: qeue: unknown key; known here: name, cpus, allowEmbedded, web, worker, mongodb, rabbitmq, timeouts, workers, nginx, environments',
    ]);
  });

  it('no config', async () => {
    const { code, err } = await memt('config', 'check');
    expect(code).toBe(78);
    expect(err).toContain('npx memt init');
  });
});

describe('config print', () => {
  it('shows every value with its origin, and no secret', async () => {
    put('ecosystem.config.mjs', ESM);
    put('.env', 'MONGODB_URI=mongodb://ana:geheim@db/shop\nMEMT_RABBITMQ_PASSWORD=geheim\n');
    const plain = await memt('config', 'print', '--set', 'web.port=5099');
    expect(plain.code).toBe(0);
    expect(plain.out).toMatch(/^web\.port +5099 +flag --set web\.port$/m);
    expect(plain.out).toMatch(/^mongodb\.uri +mongodb:\/\/ana:\*\*\*@db\/shop +\.env$/m);
    const json = await memt('config', 'print', '--json');
    expect(JSON.parse(json.out)).toMatchObject({ schema: 1, environment: 'local' });
    expect(plain.out + json.out).not.toContain('geheim');
  });

  it('keeps what the config prints out of --json', async () => {
    put('ecosystem.config.mjs', `console.log('hello');\n${ESM}`);
    const { out, err } = await memt('config', 'print', '--json');
    expect(JSON.parse(out)).toHaveProperty('settings');
    expect(err).toBe('hello\n');
  });
});

it('a project that init wrote passes the check', async () => {
  expect((await memt('init', 'new')).code).toBe(0);
  mkdirSync(join(root, 'new/node_modules'));
  symlinkSync(repository, join(root, 'new/node_modules/memt'));
  const { code, out } = await memt('-C', 'new', 'config', 'check');
  expect({ code, out }).toEqual({
    code: 0,
    out: expect.stringContaining('ecosystem.config.js is fine: environment local') as string,
  });
});
