import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Failure } from '../model/failure.js';
import type { Settings } from '../model/settings.js';
import { loadSettings, type LoadOptions } from './load.js';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'memt-load-')));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function files(contents: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
}

const APP = { 'server.js': '', 'tasks.js': '' };
const FULL = `{ web: { app: './server.js' }, worker: { tasks: './tasks.js' }, mongodb: {}, rabbitmq: {} }`;

function config(text: string, name = 'ecosystem.config.mjs'): void {
  files({ ...APP, [name]: `export const apps = []; export const memt = ${text};` });
}

async function load(options: Partial<LoadOptions> = {}): Promise<Settings> {
  const result = await loadSettings({ cwd: root, flags: {}, env: {}, ...options });
  if (!result.ok) throw new Error(JSON.stringify(result.failure, null, 1));
  return result.value;
}

async function failure(options: Partial<LoadOptions> = {}): Promise<Failure> {
  const result = await loadSettings({ cwd: root, flags: {}, env: {}, ...options });
  if (result.ok) throw new Error('loaded');
  return result.failure;
}

describe('the forms of the file', () => {
  it.each([
    [
      'ecosystem.config.js in an ES module package',
      'ecosystem.config.js',
      'module',
      (memt: string) => `export const apps = []; export const memt = ${memt};`,
    ],
    [
      'ecosystem.config.js in a CommonJS package',
      'ecosystem.config.js',
      'commonjs',
      (memt: string) => `module.exports = { apps: [], memt: ${memt} };`,
    ],
    [
      'ecosystem.config.mjs',
      'ecosystem.config.mjs',
      'commonjs',
      (memt: string) => `export const apps = []; export const memt = ${memt};`,
    ],
    [
      'ecosystem.config.cjs',
      'ecosystem.config.cjs',
      'module',
      (memt: string) => `module.exports = { apps: [], memt: ${memt} };`,
    ],
  ])('%s', async (_title, name, type, source) => {
    files({ ...APP, 'package.json': JSON.stringify({ name: '@acme/Shop App', type }), [name]: source(FULL) });
    const settings = await load();
    expect(settings).toMatchObject({
      project: 'acme-shop-app',
      root,
      configFile: join(root, name),
      environment: 'local',
      allowEmbedded: true,
      mongodb: {
        uri: null,
        host: '127.0.0.1',
        port: 27017,
        database: 'acme-shop-app',
        dataDir: join(root, '.memt/data/mongodb'),
        dataDirConfigured: false,
      },
      rabbitmq: { uri: null, port: 5672, managementPort: 15672, vhost: 'acme-shop-app', user: 'guest' },
      workers: [
        { name: 'worker', tasks: join(root, 'tasks.js'), exportName: null, concurrency: 10, gracefulTimeoutMs: 30_000 },
      ],
      web: { app: join(root, 'server.js'), host: '127.0.0.1', port: 5000, timeoutMs: 30_000, backlog: 2048 },
      warnings: [],
    });
  });

  it('is found from a folder below and through a link', async () => {
    config(FULL);
    mkdirSync(join(root, 'a/b'), { recursive: true });
    symlinkSync(root, join(root, 'a/link'));
    expect((await load({ cwd: join(root, 'a/b') })).root).toBe(root);
    expect((await load({ cwd: join(root, 'a/link') })).root).toBe(root);
    expect((await load({ cwd: '/', file: join(root, 'a/link/ecosystem.config.mjs') })).root).toBe(root);
  });

  it('an export default works, with a word about PM2', async () => {
    files({ ...APP, 'ecosystem.config.mjs': `export default { apps: [], memt: ${FULL} };` });
    expect((await load()).warnings).toEqual([expect.stringContaining('PM2 needs named exports')]);
  });

  it('top-level await works, with a word about PM2', async () => {
    files({ ...APP, 'ecosystem.config.mjs': `await 1; export const memt = ${FULL};` });
    expect((await load()).warnings).toEqual([expect.stringContaining('top-level await')]);
  });

  it('what the config prints stays out of stdout', async () => {
    files({
      ...APP,
      'ecosystem.config.mjs': `process.stdout.write.call(process.stdout, ''); export const memt = ${FULL};`,
    });
    const before = process.stdout.write;
    await load();
    expect(process.stdout.write).toBe(before);
  });
});

describe('files that give no config', () => {
  it.each([
    ['apps alone', `export const apps = [];`, 'config-invalid', /has PM2's apps, but exports no memt/],
    ['nothing', ``, 'config-invalid', /exports no memt/],
    [
      'a syntax error',
      `export const memt = {\n  web: { app ./x },\n};`,
      'config-unreadable',
      /ecosystem\.config\.mjs.* cannot be loaded: /,
    ],
    [
      'a throw',
      `const a = 1;\nthrow new TypeError('boom');\nexport const memt = {};`,
      'config-unreadable',
      /ecosystem\.config\.mjs:2:7 cannot be loaded: TypeError: boom/,
    ],
    ['a thrown text', `throw 'just text';`, 'config-unreadable', /just text/],
    [
      'an unknown package',
      `import x from 'no-such-package-anywhere'; export const memt = x;`,
      'config-unreadable',
      /no-such-package-anywhere/,
    ],
    ['an unknown file', `import x from './nowhere.js'; export const memt = x;`, 'config-unreadable', /nowhere/],
  ])('%s', async (_title, source, kind, what) => {
    files({ 'ecosystem.config.mjs': source });
    const result = await failure();
    expect(result.kind).toBe(kind);
    expect(result.what).toMatch(what);
    expect(result.mend).toBeTruthy();
  });

  it('shows the line that threw', async () => {
    files({ 'ecosystem.config.mjs': `const a = 1;\nthrow new TypeError('boom');\n` });
    expect((await failure()).evidence).toEqual(['  1 | const a = 1;', "> 2 | throw new TypeError('boom');", '  3 | ']);
  });

  it('says which package is missing and how to get it', async () => {
    files({ 'package.json': '{"dependencies":{"dotenv":"1"}}', 'ecosystem.config.mjs': `import 'dotenv/config';` });
    expect(await failure()).toMatchObject({
      cause: expect.stringContaining('dotenv is listed in package.json'),
      mend: expect.stringContaining('npm ci'),
    });
  });

  it.each([
    ['a promise', 'Promise.resolve({})', /an object, got a promise/],
    ['a list', '[]', /an object, got a list/],
    ['null', 'null', /exports no memt|got null/],
    ['a text', "'web'", /got the text 'web'/],
    ['a function', '() => ({})', /got a function/],
    ['an instance', 'new Map()', /got an object of class Map/],
  ])('memt is %s', async (_title, value, problem) => {
    config(value);
    const { kind, what, evidence } = await failure();
    expect(kind).toBe('config-invalid');
    expect([what, ...(evidence ?? [])].join('\n')).toMatch(problem);
  });
});

describe('problems', () => {
  it('come all at once, each with file, key and help', async () => {
    files({ '.env': 'MEMT_WEB_TIMEOUT=soon\nnonsense\n' });
    config(`{ web: { prot: 5000, port: 99999, app: './srver.js' }, worker: { tasks: './tasks.js', processes: 'lots' },
      mongodb: { uri: 'http://ana:geheim@x' }, rabbitmq: [], environments: { production: { web: { prto: 1 } } } }`);
    const { kind, what, evidence } = await failure();
    expect(kind).toBe('config-invalid');
    expect(what).toBe(`${join(root, 'ecosystem.config.mjs')} cannot be used: 9 problems`);
    expect(evidence).toEqual([
      'ecosystem.config.mjs: web.prot: unknown key; did you mean web.port?',
      'ecosystem.config.mjs: web.port: expected a port from 1 to 65535, got 99999',
      "ecosystem.config.mjs: worker.processes: expected a number from 1 to 1024, or '2N+1', 'N+1', 'N' or 'cpus', got 'lots'",
      'ecosystem.config.mjs: mongodb.uri: expected a URI that begins with mongodb:// or mongodb+srv://, got a text (hidden)',
      'ecosystem.config.mjs: rabbitmq: expected an object or false, got a list',
      'ecosystem.config.mjs: environments.production.web.prto: unknown key; did you mean environments.production.web.port?',
      '.env:2: expected NAME=value',
      ".env: web.timeout: expected a duration such as '30s' or 30000 (ms), got 'soon'",
      `ecosystem.config.mjs: web.app: no file ${join(root, 'srver.js')}; did you mean ./server.js?`,
    ]);
    expect(JSON.stringify(evidence)).not.toContain('geheim');
  });

  it.each<[string, string, string]>([
    ['a key at the wrong place', `{ port: 1 }`, 'port: unknown key; did you mean web.port?'],
    [
      'a word of another tool',
      `{ web: { app: './server.js', instances: 2 } }`,
      'web.instances: unknown key; did you mean web.workers?',
    ],
    ['a section of another tool', `{ celery: {} }`, 'celery: unknown key; did you mean worker?'],
    [
      'web without an app',
      `{ web: {} }`,
      "web.app: is missing; expected your application's module, such as './server.js'",
    ],
    ['web: true', `{ web: true }`, "web.app: is missing; expected your application's module, such as './server.js'"],
    ['nginx', `{ nginx: {} }`, 'nginx: this version of memt starts no nginx; leave it out or set it to false'],
    [
      'a worker without a broker',
      `{ worker: { tasks: './tasks.js' } }`,
      'worker: needs RabbitMQ, which is switched off; add rabbitmq: {} (or { url })',
    ],
    [
      'a worker group of a reserved name',
      `{ workers: { web: { tasks: './tasks.js' } } }`,
      "workers.web: 'web' is a name of memt's own; choose another",
    ],
    [
      'a worker group with a bad name',
      `{ workers: { 'My Mail': {} } }`,
      'workers.My Mail: expected a name of at most 31 small letters, digits and -',
    ],
    [
      'a count where groups belong',
      `{ workers: 4 }`,
      "workers: expected groups such as { mail: { tasks: './mail.js' } }, got the number 4 (web's instance count is web.workers)",
    ],
    ['NaN', `{ web: { app: './server.js', port: NaN } }`, 'web.port: expected a port from 1 to 65535, got NaN'],
    ['port 0', `{ web: { app: './server.js', port: 0 } }`, 'web.port: expected a port from 1 to 65535, got 0'],
    [
      'a negative duration',
      `{ web: { app: './server.js', timeout: -1 } }`,
      "web.timeout: expected a duration such as '30s' or 30000 (ms), got -1",
    ],
    [
      'no workers',
      `{ web: { app: './server.js', workers: 0 } }`,
      "web.workers: expected a number from 1 to 1024, or '2N+1', 'N+1', 'N' or 'cpus', got 0",
    ],
    [
      'an address with a port',
      `{ web: { app: './server.js', host: '127.0.0.1:5000' } }`,
      "web.host: expected an address such as '127.0.0.1', got '127.0.0.1:5000'",
    ],
    [
      'an unknown engine',
      `{ mongodb: { engine: 'embeded' } }`,
      "mongodb.engine: expected 'auto' or 'real' or 'embedded', got 'embeded'; did you mean 'embedded'?",
    ],
    ['a control character', `{ name: 'a\\u0000b' }`, "name: expected a text, got 'a\u0000b'"],
    ['overlays that are a list', `{ environments: [] }`, 'environments: expected an object, got a list'],
    [
      'an overlay inside an overlay',
      `{ environments: { local: { environments: {} } } }`,
      'environments.local.environments: unknown key; known here: name, cpus, allowEmbedded, web, worker, mongodb, rabbitmq, timeouts, workers, nginx',
    ],
    [
      '__proto__',
      `JSON.parse('{"__proto__": {"x": 1}}')`,
      '__proto__: unknown key; known here: name, cpus, allowEmbedded, web, worker, mongodb, rabbitmq, timeouts, workers, nginx, environments',
    ],
    [
      'one port twice',
      `{ web: { app: './server.js', port: 27017 }, mongodb: {} }`,
      'web.port: 27017 is mongodb.port, too (ecosystem.config.mjs; default); give one of them another port',
    ],
    [
      'one port twice by a wildcard',
      `{ web: { app: './server.js', port: 5672, host: '0.0.0.0' }, rabbitmq: {} }`,
      'web.port: 5672 is rabbitmq.port, too (ecosystem.config.mjs; default); give one of them another port',
    ],
  ])('%s', async (_title, text, problem) => {
    config(text);
    expect((await failure()).evidence).toContain(`ecosystem.config.mjs: ${problem}`);
  });

  it('one port on two addresses is fine', async () => {
    config(`{ web: { app: './server.js', port: 27017, host: '127.0.0.2' }, mongodb: {} }`);
    expect((await load()).web?.port).toBe(27017);
  });

  it.each([
    ['a missing file', './nowhere/app.js', /no file .*; there is no folder/],
    ['a missing extension', './server', /did you mean \.\/server\.js\?/],
    ['a folder', './lib', /is a folder, not a module; did you mean \.\/lib\/index\.js\?/],
    ['a build that was not run', './dist/server.js', /build the project first: npm run build/],
  ])('an entry that is %s is an entry-missing of web', async (_title, app, problem) => {
    files({ 'lib/index.js': '', 'package.json': '{"scripts":{"build":"tsc"}}' });
    config(`{ web: { app: '${app}' } }`);
    const { kind, unit, evidence } = await failure();
    expect({ kind, unit }).toEqual({ kind: 'entry-missing', unit: 'web' });
    expect(evidence?.[0]).toMatch(problem);
  });
});

describe('precedence', () => {
  const text = `{ web: { app: './server.js', port: 1001 }, environments: { local: { web: { port: 1002 } } } }`;
  const steps: [string, Partial<LoadOptions>, Record<string, string>, number, string][] = [
    ['overlay over base', {}, {}, 1002, 'ecosystem.config.mjs (environments.local)'],
    ['base in another environment', { environment: 'development' }, {}, 1001, 'ecosystem.config.mjs'],
    ['.env over the file', {}, { '.env': 'PORT=1003' }, 1003, '.env'],
    ['.env.local over .env', {}, { '.env': 'PORT=1003', '.env.local': 'PORT=1004' }, 1004, '.env.local'],
    [
      'the environment over .env',
      { env: { PORT: '1005' } },
      { '.env.local': 'PORT=1004' },
      1005,
      'environment variable PORT',
    ],
    [
      'MEMT_WEB_PORT over PORT',
      { env: { PORT: '1005', MEMT_WEB_PORT: '1006' } },
      {},
      1006,
      'environment variable MEMT_WEB_PORT',
    ],
    [
      'a flag over all',
      { env: { PORT: '1005' }, flags: { port: '1007' } },
      { '.env': 'PORT=1003' },
      1007,
      'flag --port',
    ],
    ['--set over the flag', { flags: { port: '1007', set: ['web.port=1008'] } }, {}, 1008, 'flag --set web.port'],
    ['an empty variable is none', { env: { PORT: '' } }, {}, 1002, 'ecosystem.config.mjs (environments.local)'],
  ];
  it.each(steps)('%s', async (_title, options, envFiles, port, origin) => {
    config(text);
    files(envFiles);
    const settings = await load(options);
    expect(settings.web?.port).toBe(port);
    expect(settings.origins['web.port']).toBe(origin);
  });

  it('overlays switch units on and off', async () => {
    config(
      `{ web: { app: './server.js' }, mongodb: false, environments: { production: { web: false, mongodb: { port: 27117 } } } }`,
    );
    expect(await load()).toMatchObject({ mongodb: null, web: { port: 5000 } });
    expect(await load({ environment: 'production' })).toMatchObject({ mongodb: { port: 27117 }, web: null });
  });

  it('worker groups are units of their own, without the variables of the first', async () => {
    config(
      `{ rabbitmq: {}, worker: { tasks: './tasks.js' }, workers: { mail: { tasks: './tasks.js:mail', processes: 3 }, off: false } }`,
    );
    const { workers } = await load({ flags: { processes: '4', concurrency: '7' } });
    expect(
      workers.map(({ name, processes, concurrency, exportName }) => ({ name, processes, concurrency, exportName })),
    ).toEqual([
      { name: 'worker', processes: 4, concurrency: 7, exportName: null },
      { name: 'mail', processes: 3, concurrency: 10, exportName: 'mail' },
    ]);
  });
});

describe('environments', () => {
  it('development has one web instance, unless the config says otherwise', async () => {
    config(FULL);
    expect(await load({ environment: 'development' })).toMatchObject({
      web: { workers: 1 },
      origins: { 'web.workers': 'default (development)' },
    });
    config(`{ web: { app: './server.js', workers: 3 } }`, 'other.config.mjs');
    expect((await load({ file: 'other.config.mjs', environment: 'development' })).web?.workers).toBe(3);
  });

  it('production allows embedded engines only when asked', async () => {
    config(FULL);
    expect((await load({ env: { NODE_ENV: 'production' } })).allowEmbedded).toBe(false);
    expect((await load({ environment: 'production', allowEmbedded: true })).allowEmbedded).toBe(true);
    expect((await load({ environment: 'production', flags: { allowEmbedded: true } })).origins['allowEmbedded']).toBe(
      'flag --allow-embedded',
    );
  });

  it('an unknown name is a problem with a suggestion', async () => {
    config(FULL);
    expect((await failure({ environment: 'prodution' })).evidence?.[0]).toMatch(
      /flag --env: no environment 'prodution'; did you mean production\?/,
    );
  });

  it.each([
    ['a mongod that others reach', `{ mongodb: { host: '0.0.0.0' } }`, /mongodb\.host: mongod asks for no password/],
    [
      'the default password beyond loopback',
      `{ rabbitmq: { host: '0.0.0.0' } }`,
      /rabbitmq\.password: the default password/,
    ],
    [
      'the default password in a URL',
      `{ rabbitmq: { url: 'amqp://guest:guest@mq.example.org' } }`,
      /rabbitmq\.url: the default password/,
    ],
    [
      'an embedded engine by name',
      `{ mongodb: { engine: 'embedded' } }`,
      /mongodb\.engine: 'embedded' is for development/,
    ],
  ])('production refuses %s', async (_title, text, problem) => {
    config(text);
    expect((await failure({ environment: 'production' })).evidence?.[0]).toMatch(problem);
    await expect(load()).resolves.toBeDefined();
  });

  it('processes get the shell over .env, and nothing that belongs to one process', async () => {
    config(FULL);
    files({ '.env': 'A=file\nB=file\nHOME_OF=$HOME', '.env.local': 'B=local' });
    const { env } = await load({
      env: { A: 'shell', MEMT_LAUNCH: '/x', MEMT_UNIT: 'web', NODE_CHANNEL_FD: '3', PM2_HOME: '/p' },
    });
    expect(env).toEqual({ A: 'shell', B: 'local', HOME_OF: '$HOME', NODE_ENV: 'development', MEMT_ENV: 'local' });
  });
});

describe('engines by URI', () => {
  it('MONGODB_URI and RABBITMQ_URL make them external', async () => {
    config(FULL);
    const settings = await load({
      env: {
        MONGODB_URI: 'mongodb://a:p%40ss@db1:27018,db2/shop?replicaSet=r',
        RABBITMQ_URL: 'amqps://u:p@mq/%2Fteam',
      },
    });
    expect(settings.mongodb).toMatchObject({
      uri: expect.stringContaining('db1'),
      host: 'db1',
      port: 27018,
      database: 'shop',
    });
    expect(settings.rabbitmq).toMatchObject({ host: 'mq', port: 5671, vhost: '/team', user: 'u', password: 'p' });
    expect(settings.origins['mongodb.uri']).toBe('environment variable MONGODB_URI');
  });

  it('a configured unit that is off stays off', async () => {
    config(`{ web: { app: './server.js' } }`);
    expect((await load({ env: { MONGODB_URI: 'mongodb://x' } })).mongodb).toBeNull();
  });
});

describe('counts', () => {
  it.each([
    [{ cpus: '2' }, 5, '2*2+1 = 5'],
    [{ cpus: '0.25' }, 1, 'floor(2*0.25)+1 = 1'],
    [{ cpus: '1.5' }, 4, '2*1.5+1 = 4'],
    [{ cpus: '4', workers: 'cpus' }, 4, '4 = 4'],
    [{ cpus: '4', workers: 'N+1' }, 5, '4+1 = 5'],
    [{ workers: '9' }, 9, '--workers = 9'],
  ])('%o', async (flags, workers, workersReason) => {
    config(FULL);
    expect((await load({ flags })).web).toMatchObject({ workers, workersReason });
  });

  it('WEB_CONCURRENCY sets the web instances', async () => {
    config(FULL);
    expect((await load({ env: { WEB_CONCURRENCY: '3' } })).web).toMatchObject({
      workers: 3,
      workersReason: 'WEB_CONCURRENCY = 3',
    });
  });
});

it('a misspelt variable of memt is worth a word', async () => {
  config(FULL);
  expect((await load({ env: { MEMT_WEB_PROT: '1', MEMT_ENV: 'local' } })).warnings).toEqual([
    'environment variable MEMT_WEB_PROT is not one that memt reads; did you mean MEMT_WEB_PORT?',
  ]);
});
