import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readJournal, recordAlive } from '../../src/host/journal-file.js';
import type { WebSettings } from '../../src/model/settings.js';
import { poll } from '../../src/util/deadline.js';
import { compiled, HELLO, Load, WebProject } from './web-rig.js';

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

const answering = (text: string): string => `export default (q, s) => s.end('${text}');`;

describe('reload', () => {
  it('replaces every instance under load without losing a request', async () => {
    const web = await open({ 'app.mjs': answering('old') }, { workers: 3 });
    web.start();
    const before = await web.healthy();
    const load = new Load(web, 12);
    for (const text of ['new', 'newer', 'newest']) {
      web.write({ 'app.mjs': answering(text) });
      expect(await web.tell('reload')).toEqual({ ok: true, replaced: 3 });
    }
    const after = await web.until('drained', (status) => status.state === 'healthy' && status.facts['draining'] === 0);
    await load.stop();
    console.log(`3 reloads of 3 instances: ${load.answered} answered, ${load.failures.length} failed`);
    expect(load.failures).toEqual([]);
    expect([...load.bodies].sort()).toEqual(['new', 'newer', 'newest', 'old']);
    expect(after.instances.map((one) => one.pid)).not.toEqual(before.instances.map((one) => one.pid));
    expect(after.instances.map((one) => one.restarts)).toEqual([0, 0, 0]);
    expect((await web.get()).body).toBe('newest');
    const records = readJournal(web.layout.journalDir);
    expect(records.map((record) => record.instance).sort()).toEqual(['web', 'web.0', 'web.1', 'web.2']);
    expect(records.every(recordAlive)).toBe(true);
    expect(Number((await web.status())?.facts['requests'])).toBeGreaterThanOrEqual(load.answered);
  });

  const broken: readonly (readonly [string, string, string])[] = [
    ['throws at import', 'throw new Error("no");', 'entry-throws'],
    ['is no application', 'export default 1;', 'entry-shape'],
    ['never answers', 'export default () => {};', 'unit-timeout'],
    ['dies right after it is ready', `${answering('new')} setTimeout(() => process.exit(5), 150);`, 'unit-exited'],
  ];
  it.each(broken)('keeps the old instances when the new code %s', async (_name, code, kind) => {
    const web = await open({ 'app.mjs': answering('old') }, { bootTimeoutMs: 1500 });
    web.start();
    const before = await web.healthy();
    const load = new Load(web, 4);
    web.write({ 'app.mjs': code });
    const result = await web.tell<{ ok: boolean; replaced: number; failure: { kind: string } }>('reload');
    expect(result).toMatchObject({ ok: false, replaced: 0, failure: { kind } });
    await load.stop();
    expect(load.failures).toEqual([]);
    const after = await web.healthy();
    expect(after.instances).toEqual(before.instances);
    expect((await web.get()).body).toBe('old');
    // The journal names the living ones again.
    expect(
      readJournal(web.layout.journalDir)
        .map((record) => record.pid)
        .sort(),
    ).toEqual(
      [
        ...before.instances.map((one) => one.pid),
        readJournal(web.layout.journalDir).find((one) => one.role === 'web')!.pid,
      ].sort(),
    );
  });

  it('takes new settings, and two at once run one after the other', async () => {
    const web = await open({ 'app.mjs': `export default (q, s) => s.end(process.env.COLOUR);` });
    web.configure({ env: { COLOUR: 'red' } });
    web.start();
    await web.healthy();
    expect((await web.get()).body).toBe('red');
    web.configure({ env: { COLOUR: 'blue' } });
    expect(await Promise.all([web.tell('reload'), web.tell('reload')])).toEqual([
      { ok: true, replaced: 2 },
      { ok: true, replaced: 2 },
    ]);
    expect((await web.get()).body).toBe('blue');
    expect((await web.status())?.facts['reloads']).toBe(2);
  });

  it('is what SIGHUP asks for', async () => {
    const web = await open({ 'app.mjs': answering('old') });
    const primary = web.start();
    await web.healthy();
    web.write({ 'app.mjs': answering('new') });
    primary.kill('SIGHUP');
    await poll(async () => ((await web.status())?.facts['reloads'] === 1 ? true : undefined), {
      everyMs: 20,
      ms: 10_000,
      what: 'reload',
    });
    expect((await web.get()).body).toBe('new');
  });
});

describe('scale', () => {
  it('goes up and down under load without losing a request', async () => {
    const web = await open({ 'app.mjs': HELLO });
    web.start();
    await web.healthy();
    const load = new Load(web, 8);
    expect(await web.tell('scale', { workers: 5 })).toEqual({ ok: true, workers: 5 });
    expect((await web.healthy()).instances.map((one) => one.id)).toEqual(['web.0', 'web.1', 'web.2', 'web.3', 'web.4']);
    expect(await web.tell('scale', { workers: 1 })).toEqual({ ok: true, workers: 1 });
    expect((await web.healthy()).instances).toHaveLength(1);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(web.pids()).toHaveLength(2);
  });

  it.each([0, -1, 1.5, 'three', null, 1e9])('refuses %s', async (workers) => {
    const web = await open({ 'app.mjs': HELLO }, { workers: 1 });
    web.start();
    await web.healthy();
    expect(await web.ask('scale', { workers })).toMatchObject({
      kind: 'error',
      message: expect.stringMatching(/whole number/) as string,
    });
    expect((await web.healthy()).instances).toHaveLength(1);
  });
});
