import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FailureKind } from '../../src/model/failure.js';
import type { WebSettings } from '../../src/model/settings.js';
import { compiled, exitOf, HELLO, WebProject } from './web-rig.js';

let project: WebProject | undefined;
beforeAll(() => void compiled());
afterEach(async () => {
  const last = project;
  project = undefined;
  await last?.dispose();
});

async function open(files: Record<string, string>, settings: Partial<WebSettings> = {}): Promise<WebProject> {
  return (project = await WebProject.create(files, settings));
}

describe('the web server starts', () => {
  it('has all instances answering, in parallel, and says so', async () => {
    const web = await open({ 'app.mjs': HELLO }, { workers: 5 });
    const started = performance.now();
    web.start();
    const status = await web.healthy();
    console.log(`boot to 5 healthy: ${(performance.now() - started).toFixed(0)} ms`);
    expect(status.instances.map((one) => [one.id, one.state, one.restarts])).toEqual(
      [0, 1, 2, 3, 4].map((n) => [`web.${n}`, 'healthy', 0]),
    );
    expect(status.ports).toEqual([web.port]);
    expect(status.failure).toBeNull();
    const starts = status.instances.map((one) => one.startedAt);
    expect(Math.max(...starts) - Math.min(...starts)).toBeLessThan(1000);
    expect((await web.get()).body).toMatch(/^hello \d+$/);
    expect(web.log().filter((record) => record.level === 'error')).toEqual([]);
  });

  it('imports nothing of the application before the gate opens', async () => {
    const web = await open({ 'app.mjs': `console.log('imported'); ${HELLO}` });
    web.closeGate();
    web.start();
    const status = await web.until(
      'waiting',
      (one) => one.waiting && one.instances.every((instance) => instance.pid !== null),
    );
    expect(status.state).toBe('starting');
    expect(web.log().map((record) => record.text)).not.toContain('imported');
    web.openGate();
    const after = await web.healthy();
    expect(after.instances.map((one) => one.pid)).toEqual(status.instances.map((one) => one.pid));
    expect(
      web
        .log()
        .filter((record) => record.text === 'imported')
        .map((record) => record.instance)
        .sort(),
    ).toEqual(['web.0', 'web.1']);
  });

  const applications: readonly (readonly [string, Record<string, string>, Partial<WebSettings> & { app?: string }])[] =
    [
      ['a default-exported function', { 'app.mjs': `export default (q, s) => s.end('it works');` }, {}],
      ['a function called app', { 'app.mjs': `export const app = (q, s) => s.end('it works');` }, {}],
      ['a CommonJS module.exports', { 'app.cjs': `module.exports = (q, s) => s.end('it works');` }, { app: 'app.cjs' }],
      [
        'a compiled CommonJS default',
        { 'app.cjs': `exports.__esModule = true; exports.default = (q, s) => s.end('it works');` },
        { app: 'app.cjs' },
      ],
      [
        'a named export',
        { 'app.mjs': `export default 1; export const web = (q, s) => s.end('it works');` },
        { exportName: 'web' },
      ],
      [
        'a named export of CommonJS',
        { 'app.cjs': `Object.assign(module.exports, { web: (q, s) => s.end('it works') });` },
        { app: 'app.cjs', exportName: 'web' },
      ],
      [
        'a fetch application',
        {
          'app.mjs': `export default { fetch: (r) => new Response('it ' + new URL(r.url).pathname.replace('/', 'works')) };`,
        },
        {},
      ],
      [
        'a Koa-shaped application',
        { 'app.mjs': `export default { use() {}, callback() { return (q, s) => s.end('it works'); } };` },
        {},
      ],
      [
        'an http.Server',
        { 'app.mjs': `import http from 'node:http'; export default http.createServer((q, s) => s.end('it works'));` },
        {},
      ],
      [
        'a promise of an application',
        { 'app.mjs': `export default Promise.resolve((q, s) => s.end('it works'));` },
        {},
      ],
      [
        'a program that listens by itself',
        {
          'app.mjs': `import http from 'node:http'; http.createServer((q, s) => s.end('it works')).listen(process.env.PORT, '127.0.0.1');`,
        },
        {},
      ],
      [
        'a path without its extension',
        { 'lib/app.js': `module.exports = (q, s) => s.end('it works');` },
        { app: 'lib/app' },
      ],
      ['a folder with an index', { 'lib/index.js': `module.exports = (q, s) => s.end('it works');` }, { app: 'lib' }],
      [
        'an application that only answers 503',
        { 'app.mjs': `export default (q, s) => s.writeHead(503).end('it works');` },
        {},
      ],
    ];
  it.each(applications)('serves %s', async (_name, files, { app, ...settings }) => {
    const web = await open(files, settings);
    if (app !== undefined) web.configure({ ...settings, app: `${web.root}/${app}` });
    web.start();
    await web.healthy();
    expect((await web.get()).body).toBe('it works');
  });
});

describe('a web server that cannot start says why, once, and does not loop', () => {
  const broken: readonly (readonly [
    string,
    Record<string, string>,
    Partial<WebSettings>,
    FailureKind,
    RegExp,
    RegExp,
  ])[] = [
    [
      'a missing entry',
      { 'apq.mjs': HELLO },
      {},
      'entry-missing',
      /web\.app app\.mjs does not exist/,
      /Did you mean apq\.mjs\?/,
    ],
    [
      'an entry that throws',
      { 'app.mjs': `\n\nfunction connect() { throw new Error('no database'); }\nconnect();` },
      {},
      'entry-throws',
      /no database \(app\.mjs:3\)/,
      /at connect/,
    ],
    [
      'a syntax error',
      { 'app.mjs': `export default (\n  request, response => {` },
      {},
      'entry-throws',
      /SyntaxError: .*\(app\.mjs:2\)/,
      /response => \{/,
    ],
    [
      'a syntax error in a module below',
      { 'app.mjs': `import './lib/below.mjs';`, 'lib/below.mjs': `let x = 1;\nlet x = 2;` },
      {},
      'entry-throws',
      /SyntaxError: .*\(lib\/below\.mjs:2\)/,
      /let x = 2/,
    ],
    [
      'a package that is not installed',
      { 'app.mjs': `import x from 'no-such-package-here';` },
      {},
      'entry-throws',
      /no-such-package-here/,
      /npm install no-such-package-here/,
    ],
    [
      'a rejection nobody awaits',
      { 'app.mjs': `void Promise.reject(new Error('lost'));\nawait new Promise(() => setTimeout(() => {}, 1e6));` },
      {},
      'entry-throws',
      /lost \(app\.mjs:1\)/,
      /app\.mjs/,
    ],
    [
      'an export that is no application',
      { 'app.mjs': `export default 42; export const port = 1;` },
      {},
      'entry-shape',
      /default \(a number\), port \(a number\)/,
      /\(req, res\) function/,
    ],
    ['a class', { 'app.mjs': `export default class Server {}` }, {}, 'entry-shape', /a class/, /fetch/],
    [
      'a wrong export name',
      { 'app.mjs': `export const a = () => 1;` },
      { exportName: 'b' },
      'entry-shape',
      /under the name b: it exports a \(a function\)/,
      /fetch/,
    ],
    [
      'a program that listens elsewhere',
      { 'app.mjs': `import http from 'node:http'; http.createServer().listen(0, '127.0.0.1');` },
      {},
      'entry-shape',
      /exports nothing/,
      /process\.env\.PORT/,
    ],
    [
      'process.exit at import',
      { 'app.mjs': `console.error('bad day'); process.exit(3);` },
      {},
      'unit-exited',
      /exited with code 3 while importing app\.mjs/,
      /bad day/,
    ],
    [
      'a module that never finishes loading',
      { 'app.mjs': `await new Promise(() => {});` },
      { bootTimeoutMs: 1000 },
      'unit-timeout',
      /still importing app\.mjs/,
      /top-level await/,
    ],
    [
      'a module that blocks',
      { 'app.mjs': `for (;;);` },
      { bootTimeoutMs: 1000, workers: 1 },
      'unit-timeout',
      /still importing app\.mjs/,
      /code that blocks/,
    ],
    [
      'an application that never answers',
      { 'app.mjs': `export default () => {};` },
      { bootTimeoutMs: 1000 },
      'unit-timeout',
      /waiting for its answer to GET/,
      /memt logs/,
    ],
    [
      'an application that dies right after it is ready',
      { 'app.mjs': `${HELLO} setTimeout(() => { throw new Error('short life'); }, 200);` },
      { workers: 1 },
      'unit-exited',
      /exited with code 1 while serving/,
      /short life/,
    ],
    [
      'a host that is not ours',
      { 'app.mjs': HELLO },
      { host: '192.0.2.1' },
      'config-invalid',
      /192\.0\.2\.1 is not an address/,
      /0\.0\.0\.0/,
    ],
  ];
  it.each(broken)('%s', async (_name, files, settings, kind, what, rest) => {
    const web = await open(files, settings);
    web.start();
    const status = await web.until('failure', (one) => one.failure !== null);
    expect(status.state).toBe('failed');
    expect(status.failure?.kind).toBe(kind);
    expect(status.failure?.what).toMatch(what);
    expect(JSON.stringify(status.failure)).toMatch(rest);
    // Given up: what is left ends, and nothing is forked again.
    await web.until('no instance', (one) => one.instances.every((instance) => instance.pid === null));
    expect(web.pids()).toHaveLength(1);
    expect(Math.max(...status.instances.map((one) => one.restarts))).toBe(
      what.source.includes('while serving') ? 2 : 0,
    );
  });

  it('a taken port', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const web = await open({ 'app.mjs': HELLO }, { port });
    web.start();
    const status = await web.until('failure', (one) => one.failure !== null);
    expect(status.failure).toMatchObject({ kind: 'port-taken', what: `127.0.0.1:${port} is taken` });
    holder.close();
    // Nothing but the port was wrong: the same primary starts when it is asked to.
    expect(await web.tell('reload')).toEqual({ ok: true, replaced: 2 });
    expect((await web.get()).status).toBe(200);
  });

  it('is picked up by a reload once the code is mended', async () => {
    const web = await open({ 'app.mjs': 'throw new Error("draft");' });
    const primary = web.start();
    await web.until('failure', (one) => one.failure !== null);
    web.write({ 'app.mjs': HELLO });
    expect(await web.tell('reload')).toEqual({ ok: true, replaced: 2 });
    await web.healthy();
    expect((await web.get()).status).toBe(200);
    primary.kill('SIGINT');
    expect(await exitOf(primary)).toEqual({ code: 0, signal: null });
  });
});
