import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mongodbSpec } from '../../services/mongodb/spec.js';
import { freePort } from '../../src/host/ports.js';
import type { MongodbSettings } from '../../src/model/settings.js';
import type { Behaviour } from '../rig/behaviour.js';
import { EngineRun } from '../rig/engine-run.js';
import { FakeEngines } from '../rig/fake-engines.js';

let fakes: FakeEngines;
let port: number;

beforeAll(async () => {
  fakes = await FakeEngines.create(['mongod']);
});
afterAll(async () => {
  await fakes[Symbol.asyncDispose]();
});

async function engine(
  behaviour: Behaviour = {},
  over: Partial<MongodbSettings> = {},
  path?: string,
): Promise<EngineRun<MongodbSettings>> {
  fakes.script('mongod', behaviour);
  port = await freePort(23_000 + (process.pid % 400));
  return EngineRun.create(
    mongodbSpec,
    (layout): MongodbSettings => ({
      uri: null,
      host: '127.0.0.1',
      port,
      dataDir: join(layout.dataDir, 'mongodb'),
      dataDirConfigured: false,
      binary: null,
      engine: 'auto',
      adopt: true,
      database: 'test',
      ...over,
    }),
    path,
  );
}

function found(run: EngineRun<MongodbSettings>): { path: string; version: string | null } {
  const binary = mongodbSpec.find(run.context.settings, { MEMT_ENGINE_PATH: fakes.binDir });
  if (!binary || 'kind' in binary) throw new Error('the fake mongod was not found');
  return binary;
}

const lastRun = (): FakeEngines['runs'][number] => fakes.runs.at(-1)!;

describe('finding mongod', () => {
  it('looks only where MEMT_ENGINE_PATH says', async () => {
    await using run = await engine();
    expect(found(run).path).toBe(join(fakes.binDir, 'mongod'));
    expect(mongodbSpec.find(run.context.settings, { MEMT_ENGINE_PATH: '', PATH: fakes.binDir })).toBeNull();
  });

  it('finds it in PATH, and takes no folder or plain file for it', async () => {
    await using run = await engine();
    const [folder, file] = [join(run.home, 'a'), join(run.home, 'b')];
    mkdirSync(join(folder, 'mongod'), { recursive: true });
    mkdirSync(file);
    writeFileSync(join(file, 'mongod'), 'not a program', { mode: 0o644 });
    const search = [folder, file, 'relative', fakes.binDir].join(':');
    expect(mongodbSpec.find(run.context.settings, { MEMT_ENGINE_PATH: search })).toMatchObject({
      path: join(fakes.binDir, 'mongod'),
    });
  });

  it('refuses a configured program that cannot be executed', async () => {
    await using run = await engine({}, { binary: '/nowhere/mongod' });
    expect(mongodbSpec.find(run.context.settings, {})).toMatchObject({
      kind: 'engine-missing',
      what: expect.stringContaining('/nowhere/mongod') as string,
    });
  });
});

describe('its data directory', () => {
  it('is made when it is the default one, for its owner alone', async () => {
    await using run = await engine();
    expect(mongodbSpec.checkData(run.context)).toBeNull();
    expect(statSync(run.context.settings.dataDir).mode & 0o777).toBe(0o700);
  });

  it('is a failure with the mend when a configured one is missing', async () => {
    await using run = await engine({}, { dataDir: '/tmp/memt no such dir', dataDirConfigured: true });
    expect(mongodbSpec.checkData(run.context)).toMatchObject({
      kind: 'data-dir',
      mend: "mkdir -p '/tmp/memt no such dir'",
    });
    expect(existsSync('/tmp/memt no such dir')).toBe(false);
  });

  it('is a failure when it is a file', async () => {
    await using run = await engine({}, { dataDir: '/etc/hostname', dataDirConfigured: true });
    expect(mongodbSpec.checkData(run.context)).toMatchObject({
      kind: 'data-dir',
      what: '/etc/hostname is not a folder',
    });
  });

  it.skipIf(process.geteuid?.() === 0)('names owner and mode when it is not writable', async () => {
    await using run = await engine();
    mkdirSync(run.context.settings.dataDir, { recursive: true });
    chmodSync(run.context.settings.dataDir, 0o500);
    expect(mongodbSpec.checkData(run.context)).toMatchObject({
      kind: 'data-dir',
      what: expect.stringMatching(/owner \d+:\d+, mode 0500/) as string,
    });
  });
});

describe('a run', () => {
  it('becomes healthy, writes its log and stops cleanly', async () => {
    await using run = await engine({ bootMs: 50, version: '7.0.9' }, {}, "a folder with 'quotes' & spaces");
    const launch = await run.start(found(run));
    expect(launch.args).toEqual([
      '--dbpath',
      run.context.settings.dataDir,
      '--port',
      String(port),
      '--bind_ip',
      '127.0.0.1',
      '--logpath',
      launch.logFile,
      '--logappend',
      '--nounixsocket',
    ]);
    expect(await run.until('healthy')).toMatchObject({ version: '7.0.9', owner: run.layout.id });
    expect(statSync(launch.stdoutFile).mode & 0o777).toBe(0o600);
    expect(lastRun().invocation.env).toMatchObject({ MEMT_RUN_DIR: run.layout.runDir });
    expect(Object.keys(lastRun().invocation.env)).not.toContain('VITEST');
    expect(await run.stop()).toBe('exited');
    expect(run.log()).toContain('"exitCode":0');
    expect(await run.look()).toEqual({ kind: 'refused' });
  });

  it('is killed when it ignores SIGTERM', async () => {
    await using run = await engine({ ignoreSigterm: true });
    await run.start(found(run));
    await run.until('healthy');
    const { stopProcess } = await import('../../src/host/stop.js');
    expect(await stopProcess({ identity: run.spawned!.identity, signal: 'SIGTERM', graceMs: 150 })).toBe('killed');
    expect(lastRun().events).toContainEqual({ event: 'signal', signal: 'SIGTERM' });
    expect(await run.failure()).toMatchObject({ what: 'mongod was killed (SIGKILL)' });
  });

  it.each<[Behaviour, string]>([
    [{ listen: 'no-answer' }, 'silent'],
    [{ listen: 'no-accept' }, 'silent'],
    [{ listen: 'garbage' }, 'foreign'],
    [{ refuseWrites: true }, 'not-ready'],
    [{ hang: true }, 'refused'],
  ])('that behaves like %j is %s', async (behaviour, kind) => {
    await using run = await engine(behaviour);
    await run.start(found(run));
    if (behaviour.hang === true) await fakes.run('mongod', fakes.runs.length || 1);
    else await run.until(kind as 'silent');
    expect((await run.look(300)).kind).toBe(kind);
  });

  it('that dies after it was ready is seen to be gone', async () => {
    await using run = await engine({ dieAfterReady: { ms: 30, code: 14 } });
    await run.start(found(run));
    await run.until('healthy');
    expect(await run.failure()).toMatchObject({ kind: 'engine-exited', what: 'mongod ended abruptly (exit code 14)' });
    expect(await run.look()).toEqual({ kind: 'refused' });
  });
});

describe('why it ended', () => {
  it.each<[string, Behaviour, object, RegExp]>([
    ['48', { trouble: 'port-taken' }, { kind: 'port-taken' }, /Address already in use/],
    [
      '100, locked',
      { trouble: 'data-locked' },
      { kind: 'data-dir', what: expect.stringMatching(/in use by another mongod/) as string },
      /Unable to lock the lock file/,
    ],
    [
      '62',
      { trouble: 'data-newer' },
      { kind: 'engine-exited', what: expect.stringMatching(/another version of MongoDB/) as string },
      /featureCompatibilityVersion/,
    ],
    [
      '14',
      { trouble: 'abort' },
      { kind: 'engine-exited', what: 'mongod ended abruptly (exit code 14)' },
      /aborting after fassert/,
    ],
    ['a full disk', { trouble: 'disk-full' }, { kind: 'disk-full' }, /No space left/],
  ])('%s', async (_name, behaviour, expected, evidence) => {
    await using run = await engine(behaviour);
    await run.start(found(run));
    const failure = await run.failure();
    expect(failure).toMatchObject({ unit: 'mongodb', ...expected });
    expect(failure.evidence?.join('\n')).toMatch(evidence);
    expect(failure.mend).toBeTruthy();
  });

  it('is what an embedded engine says of itself', async () => {
    await using run = await engine();
    const record = (level: string, text: string, fields = {}): string =>
      JSON.stringify({
        time: '2026-01-01T00:00:00.000Z',
        level,
        unit: 'mongodb',
        instance: 'mongodb',
        pid: 1,
        text,
        fields,
      });
    const logTail = [record('info', 'starting'), record('error', 'the folder is locked', { mend: 'memt down' })];
    expect(mongodbSpec.explainExit({ code: 1, signal: null, logTail, output: [] }, run.context)).toMatchObject({
      kind: 'engine-exited',
      what: 'the folder is locked',
      mend: 'memt down',
      evidence: ['the folder is locked'],
    });
    expect(
      mongodbSpec.explainExit({ code: null, signal: 'SIGKILL', logTail: logTail.slice(0, 1), output: [] }, run.context),
    ).toMatchObject({
      what: 'the embedded engine ended by SIGKILL',
    });
  });

  it('names the holder of a port that is really taken', async () => {
    await using run = await engine();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    try {
      await run.start(found(run));
      const failure = await run.failure();
      expect(failure).toMatchObject({
        kind: 'port-taken',
        what: expect.stringMatching(new RegExp(`^127\\.0\\.0\\.1:${port} is held by .*pid ${process.pid}`)) as string,
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('two on one folder: the second says so', async () => {
    await using first = await engine();
    await first.start(found(first));
    await first.until('healthy');
    await using second = await engine({}, { dataDir: first.context.settings.dataDir, dataDirConfigured: true });
    await second.start(found(second));
    expect(await second.failure()).toMatchObject({
      kind: 'data-dir',
      what: expect.stringMatching(/in use by another mongod/) as string,
    });
    expect(readFileSync(join(first.context.settings.dataDir, 'mongod.lock'), 'utf8').trim()).toBe(
      String(first.spawned?.identity.pid),
    );
  });

  it.each<[NodeJS.Signals, RegExp]>([
    ['SIGILL', /AVX/],
    ['SIGSEGV', /SIGSEGV/],
  ])('by %s', async (signal, text) => {
    await using run = await engine({ hang: true });
    await run.start(found(run));
    process.kill(run.spawned!.identity.pid, signal);
    const failure = await run.failure();
    expect(`${failure.what} ${failure.cause ?? ''}`).toMatch(text);
  });
});
