import { Agent, request } from 'node:http';
import { once } from 'node:events';
import { connect } from 'node:net';
import { readdirSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { statOf } from '../../src/host/proc.js';
import type { WebSettings } from '../../src/model/settings.js';
import { poll } from '../../src/util/deadline.js';
import { codeOf } from '../../src/util/errors.js';
import { compiled, exitOf, HELLO, Load, WebProject } from './web-rig.js';

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

const byReason = (load: Load): Record<string, number> =>
  load.failures.reduce<Record<string, number>>((sum, { code }) => ({ ...sum, [code]: (sum[code] ?? 0) + 1 }), {});

describe('the web server survives', () => {
  it('SIGKILL of an instance: it is replaced at once, and others lose nothing', async () => {
    const web = await open({ 'app.mjs': HELLO }, { workers: 3 });
    web.start();
    const before = await web.healthy();
    const load = new Load(web, 6);
    const victim = before.instances[1]!.pid!;
    const killed = performance.now();
    process.kill(victim, 'SIGKILL');
    const after = await web.until(
      'replaced',
      (status) => status.state === 'healthy' && status.instances[1]!.pid !== victim,
    );
    console.log(`killed instance healthy again after ${(performance.now() - killed).toFixed(0)} ms`);
    await load.stop();
    expect(after.instances.map((one) => one.restarts)).toEqual([0, 1, 0]);
    expect(after.instances[0]!.pid).toBe(before.instances[0]!.pid);
    // At most what that instance had in hand: three of the six clients keep a connection.
    expect(load.failures.length).toBeLessThanOrEqual(6);
    expect(load.answered).toBeGreaterThan(50);
    expect(
      web
        .log()
        .some((record) => record.instance === 'web' && /web\.1 was killed by SIGKILL while serving/.test(record.text)),
    ).toBe(true);
  });

  it('SIGKILL of the primary: the instances serve on, and a new primary takes over within milliseconds', async () => {
    const web = await open({ 'app.mjs': HELLO }, { workers: 3 });
    const first = web.start();
    const before = await web.healthy();
    const load = new Load(web, 8);
    first.kill('SIGKILL');
    await exitOf(first);
    const alone = load.answered;
    await poll(() => (load.answered > alone + 200 ? true : undefined), {
      everyMs: 5,
      ms: 5000,
      what: 'requests without a primary',
    });
    expect(load.failures).toEqual([]);
    const second = web.start();
    const after = await web.healthy();
    await poll(() => (web.pids().length === 4 ? true : undefined), {
      everyMs: 10,
      ms: 5000,
      what: 'end of the old instances',
    });
    await load.stop();
    const times = load.failures.map(({ at }) => at);
    const gap = times.length === 0 ? 0 : Math.max(...times) - Math.min(...times);
    console.log(
      `take-over: ${load.answered} answered, ${load.failures.length} failed ${JSON.stringify(byReason(load))} within ${gap.toFixed(0)} ms`,
    );
    expect(gap).toBeLessThan(100);
    expect(after.instances.map((one) => one.pid)).not.toEqual(before.instances.map((one) => one.pid));
    expect(readdirSync(web.layout.journalDir).sort()).toEqual(['web.0.json', 'web.1.json', 'web.2.json', 'web.json']);
    second.kill('SIGINT');
    expect(await exitOf(second)).toEqual({ code: 0, signal: null });
    expect(readdirSync(web.layout.journalDir)).toEqual([]);
  });

  it('SIGKILL of the primary and broken code: the old instances serve on', async () => {
    const web = await open({ 'app.mjs': HELLO });
    const first = web.start();
    await web.healthy();
    first.kill('SIGKILL');
    await exitOf(first);
    web.write({ 'app.mjs': 'throw new Error("broken")' });
    web.start();
    const status = await web.until('failure', (one) => one.failure !== null);
    expect(status.reason).toMatch(/broken.*2 instances of the previous primary still serve/);
    expect((await web.get()).status).toBe(200);
    for (const pid of web.pids().filter((one) => statOf(one)?.ppid === 1 || /instance/.test(statOf(one)?.comm ?? '')))
      process.kill(pid, 'SIGTERM');
  });

  it('a second primary beside a living one: the first leaves, nothing is lost for long', async () => {
    const web = await open({ 'app.mjs': HELLO });
    const first = web.start();
    await web.healthy();
    const load = new Load(web, 4);
    const second = web.start();
    expect(await exitOf(first)).toEqual({ code: 0, signal: null });
    await web.healthy();
    await load.stop();
    const times = load.failures.map(({ at }) => at);
    expect(times.length === 0 ? 0 : Math.max(...times) - Math.min(...times)).toBeLessThan(100);
    expect(second.exitCode).toBeNull();
    expect((await web.get()).status).toBe(200);
  });

  it('the death of whoever read its output', async () => {
    const web = await open({
      'app.mjs': `${HELLO} setInterval(() => { console.log('out'); process.stdout.write('raw\\n'); console.error('err'); }, 5);`,
    });
    const primary = web.start();
    const before = await web.healthy();
    primary.stdout!.destroy();
    primary.stderr!.destroy();
    const lines = web.log().length;
    await poll(() => (web.log().length > lines + 50 ? true : undefined), {
      everyMs: 20,
      ms: 5000,
      what: 'more output',
    });
    expect((await web.status())?.instances).toEqual(before.instances);
  });

  it('an uncaught error: logged with its stack, the instance ends after what it has in hand, and is replaced', async () => {
    const web = await open(
      {
        'app.mjs': `export default (q, s) => { if (q.url === '/crash') { s.end('ok'); setTimeout(() => { throw new Error('boom'); }, 20); } else setTimeout(() => s.end('slow'), q.url === '/slow' ? 400 : 0); };`,
      },
      { workers: 1 },
    );
    web.start();
    const before = await web.healthy();
    const slow = web.get('/slow');
    const second = web.get('/slow');
    await web.until('in flight', (status) => status.facts['inFlight'] === 2);
    await web.get('/crash');
    expect([(await slow).body, (await second).body]).toEqual(['slow', 'slow']);
    await web.until(
      'replaced',
      (status) => status.state === 'healthy' && status.instances[0]!.pid !== before.instances[0]!.pid,
    );
    const record = web.log().find((one) => one.instance === 'web.0' && one.text.includes('boom'));
    expect(record?.stack).toMatch(/app\.mjs:1/);
  });

  const HANG = `export default function handle(q, s) { if (q.url === '/hang') hotLoop(); s.end('fine'); }
function hotLoop() { for (let n = 0; ; n += 1) Math.sqrt(n); }`;

  it('a blocked event loop: its stack is logged, the instance is killed and replaced, the others serve', async () => {
    const web = await open({ 'app.mjs': HANG }, { timeoutMs: 500 });
    web.start();
    const before = await web.healthy();
    const started = performance.now();
    const hung = await web.get('/hang').catch(codeOf);
    console.log(`blocked instance gone after ${(performance.now() - started).toFixed(0)} ms (limit 500)`);
    expect(hung).toBe('ECONNRESET');
    expect((await web.get()).body).toBe('fine');
    const after = await web.until(
      'replaced',
      (status) => status.state === 'healthy' && status.instances.some((one) => one.restarts === 1),
    );
    expect(after.instances.filter((one, index) => one.pid === before.instances[index]!.pid)).toHaveLength(1);
    const record = web.log().find((one) => one.text.startsWith('the event loop was blocked'));
    expect(record).toMatchObject({
      level: 'error',
      unit: 'web',
      text: expect.stringMatching(/for 0\.\d s \(limit 0\.5 s\): killed/) as string,
    });
    expect(record?.stack).toMatch(/at hotLoop \(file:.*app\.mjs:2:\d+\)\n\s+at handle/);
  });

  it('a predecessor that hangs and holds the port: it is killed, the take-over goes on', async () => {
    const web = await open({ 'app.mjs': HANG }, { workers: 1 });
    const first = web.start();
    const before = await web.healthy();
    first.kill('SIGKILL');
    await exitOf(first);
    const hung = web.get('/hang').catch(codeOf);
    web.start();
    const after = await web.healthy();
    expect(await hung).toBe('ECONNRESET');
    expect(after.instances[0]!.pid).not.toBe(before.instances[0]!.pid);
    expect((await web.get()).body).toBe('fine');
    expect(web.log().map((one) => one.text)).toContain(`killed hanging predecessors: pid ${before.instances[0]!.pid}`);
  });

  it('an error in one request: that request gets 500, the instance lives', async () => {
    const web = await open(
      {
        'app.mjs': `export default async (q, s) => { if (q.url.startsWith('/bad')) throw new Error('bad request ' + q.url); s.end('fine'); };`,
      },
      { workers: 1 },
    );
    web.start();
    const before = await web.healthy();
    expect((await web.get('/bad?token=secret')).status).toBe(500);
    expect((await web.get('/')).body).toBe('fine');
    expect((await web.status())?.instances).toEqual(before.instances);
    const record = web.log().find((one) => one.level === 'error');
    expect(record).toMatchObject({ instance: 'web.0', text: "GET /bad failed: the application's handler threw" });
    expect(record?.stack).toMatch(/app\.mjs:1/);
  });

  it('a crash loop: degraded with its reason, with a growing pause, while the others serve', async () => {
    const web = await open({
      'app.mjs': `import { existsSync } from 'node:fs'; ${HELLO} if (existsSync(new URL('./poison', import.meta.url)) ) process.exit(7);`,
    });
    web.start();
    const before = await web.healthy();
    // Past the first second a start counts as a success.
    await poll(() => (Date.now() - before.instances[0]!.startedAt > 2000 ? true : undefined), {
      everyMs: 50,
      ms: 5000,
      what: 'settling',
    });
    web.write({ poison: '' });
    process.kill(before.instances[0]!.pid!, 'SIGKILL');
    const status = await web.until('backing off', (one) => /died 3 times in a row/.test(one.reason ?? ''));
    expect(status.state).toBe('degraded');
    expect(status.failure).toBeNull();
    expect(status.reason).toMatch(
      /^1\/2 answering; web\.0 died 3 times in a row, next try in 0\.\d s \(web\.0 exited with code 7 while importing app\.mjs\)/,
    );
    expect((await web.get()).status).toBe(200);
  });
});

describe('the web server leaves', () => {
  it('at once when idle, even with open connections that say nothing', async () => {
    const web = await open({ 'app.mjs': HELLO }, { workers: 5 });
    const primary = web.start();
    await web.healthy();
    const agent = new Agent({ keepAlive: true });
    await web.get('/', agent);
    const silent = connect(web.port, '127.0.0.1');
    await once(silent, 'connect');
    const opened = performance.now();
    await poll(() => (performance.now() - opened > 300 ? true : undefined), {
      everyMs: 50,
      ms: 5000,
      what: 'a preconnected socket of some age',
    });
    const started = performance.now();
    primary.kill('SIGINT');
    expect(await exitOf(primary)).toEqual({ code: 0, signal: null });
    const took = performance.now() - started;
    console.log(`idle stop of 5 instances: ${took.toFixed(0)} ms`);
    expect(took).toBeLessThan(150);
    silent.destroy();
    agent.destroy();
    expect(web.pids()).toEqual([]);
    expect(web.log().filter((record) => record.level === 'error' || record.level === 'warn')).toEqual([]);
    expect(readdirSync(web.layout.socketDir)).toEqual([]);
  });

  it('after the request in hand, and refuses new ones meanwhile', async () => {
    const web = await open({ 'app.mjs': HELLO });
    const primary = web.start();
    await web.healthy();
    const slow = web.get('/slow/700', new Agent({ keepAlive: true }));
    await web.until('in flight', (status) => status.facts['inFlight'] === 1);
    primary.kill('SIGTERM');
    await poll(() => web.get().then(() => undefined, codeOf), { everyMs: 5, ms: 2000, what: 'refusal' });
    expect(await slow).toMatchObject({ status: 200, connection: 'close' });
    expect(await exitOf(primary)).toEqual({ code: 0, signal: null });
  });

  it('drain answers with what it did, and the primary waits for its end', async () => {
    const web = await open({ 'app.mjs': HELLO });
    const primary = web.start();
    await web.healthy();
    const slow = web.get('/slow/500');
    await web.until('in flight', (status) => status.facts['inFlight'] === 1);
    expect(await web.tell('drain')).toMatchObject({ finished: 1, cut: 0 });
    expect((await slow).status).toBe(200);
    expect((await web.status())?.state).toBe('stopped');
    const started = performance.now();
    primary.kill('SIGINT');
    expect((await exitOf(primary)).code).toBe(0);
    expect(performance.now() - started).toBeLessThan(100);
  });

  it('cuts off what does not end in time, and says which', async () => {
    const web = await open({ 'app.mjs': HELLO }, { gracefulTimeoutMs: 300 });
    const primary = web.start();
    await web.healthy();
    const slow = web.get('/slow/10000?secret=1').catch(codeOf);
    await web.until('in flight', (status) => status.facts['inFlight'] === 1);
    primary.kill('SIGTERM');
    expect(await slow).toBe('ECONNRESET');
    expect((await exitOf(primary)).code).toBe(0);
    const warning = web.log().find((record) => /cut off/.test(record.text) && record.instance !== 'web');
    expect(warning?.text).toBe('1 requests cut off after 300 ms: GET /slow/10000');
  });

  it('at once on the second signal', async () => {
    const web = await open({ 'app.mjs': HELLO }, { gracefulTimeoutMs: 20_000 });
    const primary = web.start();
    await web.healthy();
    const slow = web.get('/slow/15000').catch(codeOf);
    await web.until('in flight', (status) => status.facts['inFlight'] === 1);
    primary.kill('SIGINT');
    await web.until('draining', (status) => status.state === 'draining');
    primary.kill('SIGINT');
    expect((await exitOf(primary)).code).toBe(130);
    expect(await slow).toBe('ECONNRESET');
  });

  it('while it still waits at its gate', async () => {
    const web = await open({ 'app.mjs': HELLO });
    web.closeGate();
    const primary = web.start();
    await web.until('waiting', (status) => status.waiting);
    primary.kill('SIGINT');
    expect(await exitOf(primary)).toEqual({ code: 0, signal: null });
  });

  it('after a half-sent request and an open upload have had their chance', async () => {
    const web = await open(
      {
        'app.mjs': `export default (q, s) => { let n = 0; q.on('data', (c) => (n += c.length)); q.on('end', () => s.end(String(n))); };`,
      },
      { workers: 1 },
    );
    const primary = web.start();
    await web.healthy();
    const upload = request({ host: '127.0.0.1', port: web.port, method: 'POST', path: '/', agent: false });
    const answered = once(upload, 'response');
    upload.write('x'.repeat(1000));
    await web.until('in flight', (status) => status.facts['inFlight'] === 1);
    const half = connect(web.port, '127.0.0.1');
    half.on('error', () => undefined);
    await once(half, 'connect');
    half.write('GET / HT');
    primary.kill('SIGTERM');
    await web.until('draining', (status) => status.state === 'draining');
    upload.end('y'.repeat(1000));
    const [response] = (await answered) as [import('node:http').IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
    expect((await exitOf(primary)).code).toBe(0);
    half.destroy();
  });
});
