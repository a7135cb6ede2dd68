import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import ts from 'typescript';
import type { LogRecord } from '../model/record.js';

/** What takes over a whole process is tried in processes of its own, compiled here from these very sources. */
const repository = join(import.meta.dirname, '../..');
let compiled: string;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  compiled = mkdtempSync(join(tmpdir(), 'memt-logs-compiled-'));
  for (const room of ['model', 'util', 'logs', 'logs/parse', 'config', 'cli', 'cli/render', 'run']) compileRoom(room);
  symlinkSync(join(repository, 'node_modules'), join(compiled, 'node_modules'));
  symlinkSync(join(repository, 'package.json'), join(compiled, 'package.json'));
  writeFileSync(
    join(compiled, 'logs.js'),
    `import { Command } from 'commander';
     import { addLogs } from './src/cli/logs.js';
     import { FAILURE_EXIT, FailureError } from './src/model/failure.js';
     const program = new Command('memt').option('-C, --dir <dir>').option('--config <file>').exitOverride();
     addLogs(program);
     try {
       await program.parseAsync(process.argv.slice(2), { from: 'user' });
       process.exit(process.exitCode ?? 0);
     } catch (error) {
       if (!(error instanceof FailureError)) throw error;
       process.stderr.write(error.failure.what + '. ' + (error.failure.mend ?? '') + '\\n', () => process.exit(FAILURE_EXIT[error.failure.kind]));
     }`,
  );
});
afterAll(() => rmSync(compiled, { recursive: true }));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'memt-logs-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  rmSync(folder, { recursive: true });
});

function compileRoom(room: string): void {
  for (const name of readdirSync(join(repository, 'src', room))) {
    if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue;
    const target = join(compiled, 'src', room, name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    const source = readFileSync(join(repository, 'src', room, name), 'utf8');
    const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true };
    writeFileSync(target, ts.transpileModule(source, { compilerOptions: options }).outputText);
  }
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[]): {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly out: { stdout: string; stderr: string };
} {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { PATH: process.env['PATH'], TZ: 'UTC' },
  });
  children.push(child);
  const out = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => (out.stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (out.stderr += chunk.toString()));
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    ...out,
  }));
  return { child, ended, out };
}

/** A process whose output is captured, then runs `body`. */
function captured(body: string): ReturnType<typeof run> {
  const script = join(folder, 'app.mjs');
  writeFileSync(
    script,
    `import fs from 'node:fs';
     import { captureOutput } from ${JSON.stringify(join(compiled, 'src/logs/capture.js'))};
     const log = captureOutput({ file: ${JSON.stringify(join(folder, 'logs/web.0.ndjson'))}, unit: 'web', instance: 'web.0' });
     ${body}`,
  );
  return run([script]);
}
const file = (name: string): string => join(folder, 'logs', name);
function records(name = 'web.0.ndjson'): LogRecord[] {
  return readFileSync(file(name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LogRecord);
}
const shapes = (): string[] => records().map((record) => `${record.level}: ${record.text}`);

describe('a captured process', () => {
  it('turns everything it says into records, for the user alone', async () => {
    const { code, stdout, stderr } = await captured(`
      console.log('a %s', 1); console.info('b'); console.warn('c'); console.error('d'); console.debug('e'); console.trace('f');
      console.assert(false, 'g'); console.table([[1]]); console.dir({ x: 1 });
      process.stdout.write('h\\n'); process.stderr.write('i\\n'); process.stderr.write(new TypeError('j').stack + '\\n');
      process.stdout.write('{"level":50,"time":' + Date.now() + ',"msg":"k"}\\n');
      log.info('l', { port: 5000, password: 'x' }); log.error('m', { err: new Error('n') }); log.fatal(undefined);
    `).ended;
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(shapes().map((shape) => shape.split('\n')[0])).toEqual([
      'info: a 1',
      'info: b',
      'warn: c',
      'error: d',
      'debug: e',
      'trace: f',
      'warn: Assertion failed: g',
      'info: ┌─────────┬───┐',
      'info: { x: 1 }',
      'info: h',
      'warn: i',
      'error: k',
      'info: l',
      'error: m',
      'fatal: null',
      'error: TypeError: j',
    ]);
    const [f, l, m] = ['f', 'l', 'm'].map((text) => records().find((record) => record.text === text));
    expect(f?.stack).toMatch(/^Trace\n {4}at .*app\.mjs/);
    expect(l).toMatchObject({ unit: 'web', instance: 'web.0', fields: { port: 5000, password: '***' } });
    expect(m?.stack).toMatch(/^Error: n\n {4}at /);
    expect(records().find((record) => record.text === 'i')?.fields).toEqual({ stream: 'stderr', parsed: false });
    expect(statSync(file('web.0.ndjson')).mode & 0o777).toBe(0o600);
    expect(statSync(file('')).mode & 0o777).toBe(0o700);
  });

  it.each([
    [
      'process.exit',
      `console.log('last'); process.stdout.write('piece'); process.exit(3)`,
      { code: 3, signal: null },
      ['info: last', 'info: piece'],
    ],
    [
      'SIGTERM',
      `console.log('last'); process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)`,
      { code: null, signal: 'SIGTERM' },
      ['info: last'],
    ],
    [
      'SIGKILL',
      `console.log('last'); process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000)`,
      { code: null, signal: 'SIGKILL' },
      ['info: last'],
    ],
    [
      'an exception',
      `console.log('last'); setImmediate(() => { throw new TypeError('no') })`,
      { code: 1, signal: null },
      ['info: last', 'fatal: uncaught TypeError: no'],
    ],
    [
      'a thrown object',
      `setImmediate(() => { throw { a: 1n } })`,
      { code: 1, signal: null },
      ['fatal: uncaught {"a":"1"}'],
    ],
    [
      'an unhandled rejection',
      `Promise.reject(new Error('no')); setInterval(() => {}, 1000)`,
      { code: 1, signal: null },
      ['fatal: uncaught Error: no'],
    ],
    [
      'an exception in an exit handler',
      `process.on('exit', () => { console.log('bye') }); throw new Error('no')`,
      { code: 1, signal: null },
      ['fatal: uncaught Error: no', 'info: bye'],
    ],
    [
      'an exception while others watch',
      `process.on('uncaughtExceptionMonitor', () => {}); throw new Error('no')`,
      { code: 1, signal: null },
      ['fatal: uncaught Error: no'],
    ],
  ])('loses nothing at %s', async (_name, body, end, wanted) => {
    expect(await captured(body).ended).toMatchObject(end);
    expect(shapes()).toEqual(wanted);
  });

  it('tells a crash once: as a record with its stack, not again in the raw log', async () => {
    await captured(`function broken() { throw new Error('no') } setImmediate(broken)`).ended;
    expect(records()[0]?.stack).toMatch(/^Error: no\n {4}at .*broken.*app\.mjs/);
    expect(statSync(file('web.0.err')).size).toBe(0);
  });

  it('leaves an exception to an application that handles it', async () => {
    const { code } = await captured(
      `process.on('uncaughtException', () => console.log('handled')); setImmediate(() => { throw new Error('no') })`,
    ).ended;
    expect(code).toBe(0);
    expect(shapes()).toEqual(['error: uncaught Error: no', 'info: handled']);
  });

  it('keeps what is written past the streams, and marks the next start', async () => {
    const body = `fs.writeSync(1, 'one\\n'); fs.writeSync(2, 'two\\n');`;
    await captured(body).ended;
    await captured(body).ended;
    const raw = readFileSync(file('web.0.out'), 'utf8').split('\n');
    expect(raw[0]).toBe('one');
    expect(JSON.parse(raw[2] ?? '')).toMatchObject({ unit: 'web', fields: { mark: true } });
    expect(raw.at(-2)).toBe('one');
    expect(readFileSync(file('web.0.err'), 'utf8')).toContain('two\n');
    expect(statSync(file('web.0.err')).mode & 0o777).toBe(0o600);
  });

  it('lives on when whoever read its output is gone', async () => {
    const { child, ended } = captured(`
      process.on('message', () => {
        for (let i = 0; i < 100; i += 1) { console.log('x'); process.stdout.write('y\\n'); fs.writeSync(1, 'z\\n'); fs.writeSync(2, 'z\\n'); }
        setImmediate(() => process.exit(0));
      });
      process.send('ready');
    `);
    await once(child, 'message');
    child.stdout?.destroy();
    child.stderr?.destroy();
    child.send('go');
    expect((await ended).code).toBe(0);
    expect(records().length).toBe(200);
  });

  it('lives on with a full disk, says so once, and counts', async () => {
    mkdirSync(file(''));
    symlinkSync('/dev/full', file('web.0.ndjson'));
    const { code } = await captured(`for (let i = 0; i < 1000; i += 1) console.log('x'); log.error('y');`).ended;
    expect(code).toBe(0);
    expect(readFileSync(file('web.0.err'), 'utf8')).toMatch(
      /^memt: cannot write .*web\.0\.ndjson \(ENOSPC\): log records are being dropped\n$/,
    );
  });

  it('lives on where nothing can be written at all', async () => {
    writeFileSync(file(''), 'a file in the place of the folder');
    const { code, stderr } = await captured(
      `console.log('x'); process.stderr.write('y\\n'); setImmediate(() => process.exit(4));`,
    ).ended;
    expect(code).toBe(4);
    expect(stderr).toContain('log records are being dropped');
  });

  it('keeps the contract of write: callbacks, encodings, bytes', async () => {
    await captured(`
      const calls = [];
      const ok = process.stdout.write('aGkK', 'base64', () => calls.push(1)) && process.stdout.write(Buffer.from('bytes\\n'), () => calls.push(2));
      setImmediate(() => log.info('done', { ok, calls }));
    `).ended;
    expect(shapes()).toEqual(['info: hi', 'info: bytes', 'info: done']);
    expect(records()[2]?.fields).toEqual({ ok: true, calls: [1, 2] });
  });

  it('keeps the file in order of time whatever times lines claim', async () => {
    await captured(
      `process.stdout.write('{"level":30,"time":1000000000000,"msg":"from the past"}\\n'); console.log('now')`,
    ).ended;
    const [first, second] = records();
    expect(first?.fields).toEqual({ time: '2001-09-09T01:46:40.000Z' });
    expect((first?.time ?? '') <= (second?.time ?? '')).toBe(true);
  });
});

describe('memt logs', () => {
  const line = (text: string, level: string, at = Date.now(), unit = 'web'): string =>
    `${JSON.stringify({ time: new Date(at).toISOString(), level, unit, instance: unit, pid: 1, text })}\n`;
  const logDir = (): string => join(folder, '.memt/logs');
  const memt = (...args: string[]): ReturnType<typeof run> =>
    run([join(compiled, 'logs.js'), '-C', folder, 'logs', ...args]);

  beforeEach(() => {
    writeFileSync(join(folder, 'ecosystem.config.js'), 'throw new Error("logs must not run the config");');
    mkdirSync(logDir(), { recursive: true });
  });

  it('shows what went wrong over all units, by time', async () => {
    const now = Date.now();
    writeFileSync(join(logDir(), 'web.ndjson'), line('fine', 'info', now - 5000) + line('second', 'error', now - 3000));
    writeFileSync(
      join(logDir(), 'worker.ndjson'),
      line('first', 'fatal', now - 4000, 'worker') + line('third', 'error', now - 2000, 'worker'),
    );
    const { code, stdout, stderr } = await memt('--level', 'error').ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((one) => one.replace(/^.{13}/, '')),
    ).toEqual(['fatal  worker   first', 'error  web      second', 'error  worker   third']);
    const json = await memt('--json', '--lines', '1', 'worker').ended;
    expect(JSON.parse(json.stdout)).toMatchObject({ level: 'error', unit: 'worker', text: 'third', fields: {} });
  });
  it('answers nothing with the counts, on stderr, with exit code 0', async () => {
    writeFileSync(join(logDir(), 'web.ndjson'), line('fine', 'info') + line('hm', 'warn'));
    const { code, stdout, stderr } = await memt('--level', 'error').ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/^no error lines from 1 unit since \d\d:\d\d \(2 below error; --level warn shows 1\)\n$/);
  });
  it.each([
    [['wbe'], 64, 'there is no unit "wbe". Did you mean web?'],
    [['--level', 'eror'], 64, '"eror" is no log level. Did you mean error?'],
    [['--since', 'soon'], 64, '--since soon is no time.'],
    [['--since', '5m', '--until', '10m'], 64, 'is later than'],
    [['--lines', 'x'], 64, '--lines x is no number of lines'],
    [['nginx'], 0, 'no logs yet of nginx'],
    [[], 0, 'no logs yet in '],
    [['--config', 'no.config.js'], 78, 'no config file'],
  ])('%j ends with %d', async (args, wanted, text) => {
    const { code, stdout, stderr } = await memt(...args).ended;
    expect({ code, stdout }).toEqual({ code: wanted, stdout: '' });
    expect(stderr).toContain(text);
  });
  it('ends quietly when nobody reads on', async () => {
    writeFileSync(
      join(logDir(), 'web.ndjson'),
      Array.from({ length: 50_000 }, (_, index) => line(`line ${index}`, 'info')).join(''),
    );
    const { child, ended } = memt('--lines', 'all');
    child.stdout?.once('data', () => child.stdout?.destroy());
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
  });
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('follows until %s', async (signal, wanted) => {
    writeFileSync(join(logDir(), 'web.ndjson'), line('old', 'info'));
    const { child, ended, out } = memt('--follow', '--json');
    await expect.poll(() => out.stdout, { timeout: 8000, interval: 10 }).toContain('old');
    appendFileSync(join(logDir(), 'web.ndjson'), line('new', 'info'));
    writeFileSync(join(logDir(), 'worker.ndjson'), line('other', 'info', Date.now(), 'worker'));
    await expect.poll(() => out.stdout, { timeout: 8000, interval: 10 }).toMatch(/new[^]*other|other[^]*new/);
    child.kill(signal);
    expect(await ended).toMatchObject({ code: wanted, stderr: '' });
  });
});
