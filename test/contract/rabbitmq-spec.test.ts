import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rabbitmqSpec } from '../../services/rabbitmq/spec.js';
import { freePort, holderOf } from '../../src/host/ports.js';
import { commandOf, identityOf, pidsWithEnv } from '../../src/host/proc.js';
import { stopProcess } from '../../src/host/stop.js';
import { recentErrors } from '../../src/logs/recent.js';
import { MEMT_ENV } from '../../src/model/launch.js';
import type { RabbitmqSettings } from '../../src/model/settings.js';
import type { Binary } from '../../src/ports/engine.js';
import type { Behaviour } from '../rig/behaviour.js';
import { EngineRun } from '../rig/engine-run.js';
import { FakeEngines } from '../rig/fake-engines.js';
import { poll } from '../../src/util/deadline.js';
import { LONG } from '../rig/ring.js';

const REAL = realBroker();
const NOBODY = 65_534;

function realBroker(): Binary | null {
  const found = rabbitmqSpec.find(settingsFor('/', 1, null), process.env);
  return found && 'path' in found ? found : null;
}

function settingsFor(dataDir: string, port: number, managementPort: number | null): RabbitmqSettings {
  return {
    uri: null,
    host: '127.0.0.1',
    port,
    dataDir,
    dataDirConfigured: false,
    binary: null,
    engine: 'auto',
    adopt: true,
    vhost: 'my app/ü',
    user: 'ana',
    password: 'p#w "d é\\',
    managementPort,
  };
}

async function broker(
  options: { readonly management?: boolean; readonly path?: string; readonly password?: string } = {},
): Promise<EngineRun<RabbitmqSettings>> {
  const port = await freePort(24_000 + (process.pid % 300) * 3);
  const management = options.management === true ? await freePort(port + 1) : null;
  return EngineRun.create(
    rabbitmqSpec,
    (layout) => ({
      ...settingsFor(join(layout.dataDir, 'rabbitmq'), port, management),
      ...(options.password === undefined ? {} : { password: options.password }),
    }),
    options.path,
  );
}

const markedWith = (run: EngineRun<RabbitmqSettings>): number[] => pidsWithEnv(MEMT_ENV.runDir, run.layout.runDir);

/** Ends what outlives the broker, as `memt down` does, and shows that nothing is left. */
async function endHelpers(run: EngineRun<RabbitmqSettings>): Promise<void> {
  for (const port of run.launch?.helperPorts ?? []) {
    const pid = holderOf(port)?.pid ?? null;
    const identity = pid === null ? undefined : identityOf(pid);
    if (identity) await stopProcess({ identity, signal: 'SIGTERM', graceMs: 2000 });
    expect(holderOf(port)).toBeNull();
  }
  expect(markedWith(run)).toEqual([]);
}

describe('finding rabbitmq-server', () => {
  it('passes over the wrapper of distributions for the real script, and reads its version from files', async () => {
    await using run = await broker();
    const prefix = join(run.home, 'usr');
    const [sbin, bin, lib] = [
      join(prefix, 'sbin'),
      join(prefix, 'lib/rabbitmq/bin'),
      join(prefix, 'lib/rabbitmq/lib/rabbitmq_server-4.0.5/sbin'),
    ];
    for (const folder of [sbin, bin, lib]) mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(sbin, 'rabbitmq-server'),
      '#!/bin/sh\nsu rabbitmq -s /bin/sh -c x\necho "Only root or rabbitmq should run it"\n',
      { mode: 0o755 },
    );
    expect(rabbitmqSpec.find(run.context.settings, { MEMT_ENGINE_PATH: sbin })).toBeNull();
    writeFileSync(join(lib, 'rabbitmq-server'), '#!/bin/sh\n', { mode: 0o755 });
    symlinkSync('../lib/rabbitmq_server-4.0.5/sbin/rabbitmq-server', join(bin, 'rabbitmq-server'));
    expect(rabbitmqSpec.find(run.context.settings, { MEMT_ENGINE_PATH: sbin })).toEqual({
      path: join(bin, 'rabbitmq-server'),
      version: '4.0.5',
    });
    const wrapped = { ...run.context.settings, binary: join(sbin, 'rabbitmq-server') };
    expect(rabbitmqSpec.find(wrapped, {})).toMatchObject({ path: join(bin, 'rabbitmq-server') });
  });

  it('finds nothing when the search path is empty, and refuses a configured program that is none', async () => {
    await using run = await broker();
    expect(rabbitmqSpec.find(run.context.settings, { MEMT_ENGINE_PATH: '' })).toBeNull();
    const plain = join(run.home, 'rabbitmq-server');
    writeFileSync(plain, 'not a program', { mode: 0o644 });
    expect(rabbitmqSpec.find({ ...run.context.settings, binary: plain }, {})).toMatchObject({ kind: 'engine-missing' });
  });
});

describe('its URL', () => {
  it.each([
    [{ user: 'a:b', password: 'c@d/e', vhost: '/' }, 'amqp://a%3Ab:c%40d%2Fe@127.0.0.1:1/%2F'],
    [{ user: 'guest', password: 'guest', vhost: 'shop' }, 'amqp://guest:guest@127.0.0.1:1/shop'],
    [{ host: '::1', vhost: 'é' }, 'amqp://ana:p%23w%20%22d%20%C3%A9%5C@[::1]:1/%C3%A9'],
  ])('%j', (over, url) => {
    const settings = { ...settingsFor('/', 1, null), ...over };
    const endpoint = rabbitmqSpec.endpoint(settings);
    expect(rabbitmqSpec.uri(settings, endpoint)).toBe(url);
    expect(rabbitmqSpec.endpoint({ ...settings, uri: url })).toMatchObject(endpoint);
  });

  it.each([
    ['amqp://localhost', { host: 'localhost', port: 5672, vhost: '/', user: 'guest', tls: false }],
    ['amqps://u:p@mq.example/', { host: 'mq.example', port: 5671, vhost: '/', user: 'u', password: 'p', tls: true }],
  ])('%s', (uri, endpoint) => {
    expect(rabbitmqSpec.endpoint({ ...settingsFor('/', 1, null), uri })).toMatchObject(endpoint);
  });
});

describe('with a fake rabbitmq-server', () => {
  let fakes: FakeEngines;
  beforeAll(async () => {
    fakes = await FakeEngines.create(['rabbitmq-server']);
  });
  afterAll(async () => {
    await fakes[Symbol.asyncDispose]();
  });
  const start = async (run: EngineRun<RabbitmqSettings>, behaviour: Behaviour): Promise<void> => {
    fakes.script('rabbitmq-server', behaviour);
    const found = rabbitmqSpec.find(run.context.settings, { MEMT_ENGINE_PATH: fakes.binDir });
    if (!found || 'kind' in found) throw new Error('the fake rabbitmq-server was not found');
    await run.start(found);
  };

  it('launches it with nothing shared, and nothing secret in arguments or environment', async () => {
    await using run = await broker({ password: 'guest' });
    await start(run, {});
    expect(await run.until('healthy')).toMatchObject({ owner: run.layout.id });
    const { args, env } = fakes.runs.at(-1)!.invocation;
    expect(args).toEqual([]);
    for (const [name, value] of Object.entries(env)) {
      if (name.startsWith('RABBITMQ_')) expect(value).not.toMatch(/^\/(?:etc|var|usr)\b/);
      expect(value).not.toBe('guest');
    }
    expect(statSync(join(run.layout.runDir, 'rabbitmq/rabbitmq.conf')).mode & 0o777).toBe(0o600);
    expect(statSync(join(run.context.settings.dataDir, 'home/.erlang.cookie')).mode & 0o777).toBe(0o400);
    expect(await run.stop()).toBe('exited');
  });

  it('keeps the node name of the data, so that a moved project keeps its queues', async () => {
    await using run = await broker({ password: 'guest' });
    mkdirSync(join(run.context.settings.dataDir, 'memt_0123456789ab@localhost'), { recursive: true });
    const launch = await rabbitmqSpec.launch(run.context, { path: '/bin/true', version: null });
    expect(launch.env['RABBITMQ_NODENAME']).toBe('memt_0123456789ab@localhost');
  });

  it.each<[Behaviour, string]>([
    [{ listen: 'no-answer' }, 'silent'],
    [{ listen: 'no-accept' }, 'silent'],
    [{ listen: 'garbage' }, 'foreign'],
    [{ refuseWrites: true }, 'not-ready'],
  ])('that behaves like %j is %s', async (behaviour, kind) => {
    await using run = await broker({ password: 'guest' });
    await start(run, behaviour);
    await run.until(kind as 'silent');
  });

  it.each<[NonNullable<Behaviour['trouble']>, object]>([
    ['port-taken', { kind: 'port-taken' }],
    ['data-locked', { kind: 'engine-exited', what: expect.stringMatching(/same node name/) as string }],
    ['data-newer', { kind: 'engine-exited', what: expect.stringMatching(/another version/) as string }],
    ['abort', { kind: 'data-dir', what: expect.stringMatching(/cannot read its data/) as string }],
    ['disk-full', { kind: 'disk-full' }],
  ])('explains %s', async (trouble, expected) => {
    await using run = await broker({ password: 'guest' });
    await start(run, { trouble });
    const failure = await run.failure();
    expect(failure).toMatchObject({ unit: 'rabbitmq', ...expected });
    expect(failure.evidence?.length).toBeGreaterThan(0);
    expect(failure.mend).toBeTruthy();
  });
});

const REAL_TESTS = 4;
if (!REAL)
  console.warn(`\n!!! rabbitmq-server was not found: ${REAL_TESTS} tests against the real broker are SKIPPED\n`);

it.runIf(process.env['CI'] === 'true')('CI has a real rabbitmq-server', () => {
  expect(REAL).not.toBeNull();
});

describe.skipIf(!REAL)('the real broker', () => {
  it('boots, is healthy, survives fifty looks without a word in its log, and stops without a trace', async () => {
    await using run = await broker({ path: "long/with 'quotes', spaces & é" });
    const launch = await run.start(REAL!);
    expect(await run.until('healthy')).toMatchObject({
      product: 'RabbitMQ',
      version: REAL!.version,
      owner: run.layout.id,
    });
    expect(commandOf(run.spawned!.identity.pid)).toMatch(/beam\.smp/);
    for (const port of [...launch.ports, ...launch.helperPorts]) {
      expect(holderOf(port, '127.0.0.1')).not.toBeNull();
      // Only this machine: another address of it stays free.
      expect(holderOf(port, '127.0.0.2')).toBeNull();
    }
    for (let count = 0; count < 50; count += 1) expect((await run.look()).kind).toBe('healthy');
    // RabbitMQ answers before its logger has written what it did.
    await poll(() => (run.log().includes('started TCP listener') ? true : undefined), {
      everyMs: 20,
      ms: 10_000,
      what: 'the log',
    });
    expect(run.log()).not.toMatch(/AMQP connection|accepting|closing/);
    expect(await run.stop()).toBe('exited');
    expect((await run.look()).kind).toBe('refused');
    await endHelpers(run);
    // As `memt logs --level error` reads it: what OTP reports of an orderly end is no error.
    expect(recentErrors(run.layout.logDir, 'rabbitmq', { lines: 5 })).toEqual([]);
    expect(readdirSync(dirname(launch.cwd))).not.toContain('erl_crash.dump');
  });

  it('with management: refuses a wrong password, keeps its data over a restart, and explains a taken port', async () => {
    await using run = await broker({ management: true });
    const { settings } = run.context;
    await run.start(REAL!);
    await run.until('healthy');
    const endpoint = rabbitmqSpec.endpoint(settings);
    expect(await rabbitmqSpec.probe({ ...endpoint, password: 'wrong' }, { timeoutMs: 2000 })).toMatchObject({
      kind: 'denied',
      owner: run.layout.id,
    });
    expect(await rabbitmqSpec.probe({ ...endpoint, vhost: 'nowhere' }, { timeoutMs: 2000 })).toMatchObject({
      kind: 'denied',
    });
    const login = `Basic ${Buffer.from(`${settings.user}:${settings.password}`).toString('base64')}`;
    const page = await fetch(`http://127.0.0.1:${settings.managementPort ?? 0}/api/vhosts`, {
      headers: { authorization: login },
    });
    expect(((await page.json()) as { name: string }[]).map(({ name }) => name).sort()).toEqual(['/', settings.vhost]);
    expect(await run.stop()).toBe('exited');
    // epmd is still there, as after a crash: the next start shares it, and cannot have the port that somebody took meanwhile.
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(settings.port, '127.0.0.1', resolve));
    const epmd = run.launch?.helperPorts[0];
    try {
      const launch = await run.start(REAL!);
      expect(launch.helperPorts).toEqual([epmd]);
      expect(await run.failure(40_000)).toMatchObject({
        kind: 'port-taken',
        what: expect.stringMatching(
          new RegExp(`127\\.0\\.0\\.1:${settings.port} is held by .*pid ${process.pid}`),
        ) as string,
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    await endHelpers(run);
  });

  it.runIf(LONG)('killed: ends with its signal, and leaves only epmd', async () => {
    await using run = await broker();
    await run.start(REAL!);
    await run.until('healthy');
    process.kill(-run.spawned!.identity.pid, 'SIGKILL');
    expect(await run.failure()).toMatchObject({ what: 'RabbitMQ was killed (SIGKILL)' });
    await endHelpers(run);
  });

  it.runIf(LONG && process.geteuid?.() === 0)('runs as an ordinary user, in a path of 200 characters', async () => {
    const long = `${'a'.repeat(100)}/${'b'.repeat(70)}`;
    await using run = await broker({ path: long });
    chmodSync(run.home, 0o755);
    for (let folder = run.layout.root; folder.startsWith(run.home); folder = dirname(folder))
      chownSync(folder, NOBODY, NOBODY);
    // In this process, as the parent of a broker inherits its user to it.
    process.setegid!(NOBODY);
    process.seteuid!(NOBODY);
    try {
      await run.start({ path: REAL!.path, version: REAL!.version });
      expect(await run.until('healthy')).toMatchObject({ owner: run.layout.id });
    } finally {
      process.seteuid!(0);
      process.setegid!(0);
    }
    expect(await run.stop()).toBe('exited');
    await endHelpers(run);
    expect(existsSync(run.context.settings.dataDir)).toBe(true);
  });
});
