import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FailureError } from '../model/failure.js';
import { bareLaunch } from './bare.js';

let root: string;
let file: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'memt-bare-')));
  file = join(root, 'ecosystem.config.mjs');
  for (const name of ['server.js', 'tasks.js']) writeFileSync(join(root, name), '');
  writeFileSync(
    file,
    `export const memt = { name: 'shop', web: { app: './server.js', port: 5055 }, worker: { tasks: './tasks.js' }, mongodb: { host: '::1' }, rabbitmq: { password: 'p@ss' } };`,
  );
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('bareLaunch', () => {
  it('finds its unit and the engines on their ports', async () => {
    const launch = await bareLaunch({ MEMT_CONFIG: file, MEMT_UNIT: 'web' });
    expect(launch).toMatchObject({
      project: 'shop',
      root,
      unit: 'web',
      settings: { port: 5055 },
      environment: 'local',
    });
    expect(launch.engines).toEqual({
      mongodb: 'mongodb://[::1]:27017/shop',
      rabbitmq: 'amqp://guest:p%40ss@127.0.0.1:5672/shop',
    });
    expect((await bareLaunch({ MEMT_CONFIG: file, MEMT_UNIT: 'worker' })).settings).toMatchObject({
      tasks: join(root, 'tasks.js'),
    });
  });

  it('takes URIs from the environment', async () => {
    const { engines } = await bareLaunch({
      MEMT_CONFIG: file,
      MEMT_UNIT: 'web',
      MONGODB_URI: 'mongodb://db/x',
      RABBITMQ_URL: 'amqp://mq',
    });
    expect(engines).toEqual({ mongodb: 'mongodb://db/x', rabbitmq: 'amqp://mq' });
  });

  it('a unit that the config does not have', async () => {
    const error = await bareLaunch({ MEMT_CONFIG: file, MEMT_UNIT: 'mail' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(FailureError);
    expect((error as FailureError).failure.what).toBe(`${file} has no unit 'mail' in environment local`);
  });

  it('a config that is gone', async () => {
    rmSync(file);
    await expect(bareLaunch({ MEMT_CONFIG: file, MEMT_UNIT: 'web' })).rejects.toMatchObject({
      failure: { kind: 'config-missing' },
    });
  });
});
