import { describe, expect, it } from 'vitest';
import { defineStack, type StackConfig } from './stack.js';
import { ENTRIES } from './util/entries.js';

describe('defineStack', () => {
  it('gives PM2 the workers and the web server, and memt the config as it is', () => {
    const config: StackConfig = {
      web: { app: './a.js', gracefulTimeout: '10s' },
      worker: { tasks: './t.js', processes: 3 },
      workers: { mail: { tasks: './m.js' }, off: false },
      mongodb: {},
    };
    const { apps, memt } = defineStack(config);
    expect(memt).toBe(config);
    expect(apps.map(({ name, script, instances }) => ({ name, script, instances }))).toEqual([
      { name: 'worker', script: ENTRIES.worker, instances: 3 },
      { name: 'mail', script: ENTRIES.worker, instances: expect.any(Number) },
      { name: 'web', script: ENTRIES.web, instances: 1 },
    ]);
    expect(apps[2]).toMatchObject({
      exec_mode: 'fork',
      pmx: false,
      treekill: false,
      kill_timeout: 15_000,
      cwd: import.meta.dirname,
    });
    expect(apps[2]?.env).toEqual({ MEMT_UNIT: 'web', MEMT_CONFIG: import.meta.filename });
  });

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['a text', 'x'],
    ['a list', [1]],
    ['sections of the wrong kind', { web: 3, worker: 'x', workers: 7, name: {} }],
    ['values of the wrong kind', { web: { gracefulTimeout: {} }, worker: { processes: [] } }],
    ['a negative count', { worker: { processes: -4 } }],
    ['a huge count', { worker: { processes: 1e9 } }],
    ['a frozen config', Object.freeze({ web: Object.freeze({ app: 'x' }) })],
  ])('never throws on %s', (_title, config) => {
    const { apps, memt } = defineStack(config as StackConfig);
    expect(memt).toBe(config);
    for (const app of apps) expect(app.instances).toBeGreaterThanOrEqual(1);
    for (const app of apps) expect(app.instances).toBeLessThanOrEqual(1024);
  });

  it('leaves the stack trace settings as they were', () => {
    const before = [Error.stackTraceLimit, Error.prepareStackTrace];
    defineStack({});
    expect([Error.stackTraceLimit, Error.prepareStackTrace]).toEqual(before);
  });
});
