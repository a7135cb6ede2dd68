import { describe, expect, it } from 'vitest';
import type { Settings } from '../model/settings.js';
import { planUp } from './up.js';
import type { EngineView, World } from './world.js';

const engine = {
  uri: null,
  host: '127.0.0.1',
  dataDir: '/p/.memt/data/x',
  dataDirConfigured: false,
  binary: null,
  engine: 'auto',
  adopt: true,
} as const;
const settings: Settings = {
  project: 'shop',
  root: '/p',
  configFile: '/p/ecosystem.config.js',
  environment: 'local',
  allowEmbedded: true,
  cpus: { cpus: 2, source: 'affinity' },
  timeouts: { engineMs: 60_000, instanceMs: 30_000 },
  mongodb: { ...engine, port: 27017, database: 'shop' },
  rabbitmq: { ...engine, port: 5672, vhost: '/', user: 'guest', password: 'guest', managementPort: 15672 },
  workers: [
    {
      name: 'worker',
      tasks: '/p/tasks.js',
      exportName: null,
      processes: 2,
      concurrency: 10,
      gracefulTimeoutMs: 30_000,
    },
  ],
  web: {
    app: '/p/server.js',
    exportName: null,
    host: '127.0.0.1',
    port: 5000,
    workers: 5,
    workersReason: '2*2+1 = 5',
    timeoutMs: 30_000,
    gracefulTimeoutMs: 30_000,
    backlog: 2048,
  },
  env: {},
  origins: {},
};
const digests = { mongodb: 'm', rabbitmq: 'r', worker: 'w', web: 's' };
const free: EngineView = {
  own: null,
  probe: { kind: 'refused' },
  holder: null,
  binary: null,
  binaryFailure: null,
  dataFailure: null,
  otherPortsTaken: [],
};
const empty: World = { id: 'abc', mongodb: free, rabbitmq: free, forks: {} };

const stepOf = (world: Partial<World>, unit: string, changes: Partial<Settings> = {}) =>
  planUp({ ...settings, ...changes }, { ...empty, ...world }, [], digests).steps.find((step) => step.unit === unit);
const mongodb = (view: Partial<EngineView>, changes: Partial<Settings> = {}) =>
  stepOf({ mongodb: { ...free, ...view } }, 'mongodb', changes);

describe('planUp on a machine with nothing but Node', () => {
  it('lists the units in start order and embeds both engines', () => {
    const { steps } = planUp(settings, empty, [], digests);
    expect(steps.map((step) => [step.unit, step.action, step.engine, step.reason])).toEqual([
      ['mongodb', 'start', 'embedded', 'no mongod found'],
      ['rabbitmq', 'start', 'embedded', 'no rabbitmq-server found'],
      ['worker', 'start', null, 'not running; 2 processes'],
      ['web', 'start', null, 'not running; 2*2+1 = 5'],
    ]);
  });
  it('brings only what the named unit needs', () => {
    expect(planUp(settings, empty, ['web'], digests).steps.map((step) => step.unit)).toEqual([
      'mongodb',
      'rabbitmq',
      'web',
    ]);
  });
});

describe('which engine runs', () => {
  const healthy = { kind: 'healthy', product: 'MongoDB', version: '7.0.0', owner: null } as const;
  const holder = 'mongod (pid 812, user ana)';
  it('a configured URI is used', () => {
    const external = { mongodb: { ...engine, port: 27017, database: 'shop', uri: 'mongodb://db/shop' } };
    expect(mongodb({}, external)).toMatchObject({ action: 'use', engine: 'external' });
  });
  it('our own running one is kept', () => {
    const own = { pid: 7, engine: 'embedded', settingsDigest: 'm' } as const;
    expect(mongodb({ own, probe: healthy, holder })).toMatchObject({
      action: 'keep',
      engine: 'embedded',
      version: '7.0.0',
    });
  });
  it('our own with other settings is restarted', () => {
    const own = { pid: 7, engine: 'embedded', settingsDigest: 'old' } as const;
    expect(mongodb({ own, probe: healthy, holder })).toMatchObject({
      action: 'restart',
      reason: 'its settings have changed',
    });
  });
  it('a healthy stranger is adopted', () => {
    expect(mongodb({ probe: healthy, holder })).toMatchObject({ action: 'use', engine: 'adopted' });
  });
  it('a healthy stranger is a taken port when adopt is false', () => {
    const closed = { mongodb: { ...engine, port: 27017, database: 'shop', adopt: false } };
    expect(mongodb({ probe: healthy, holder }, closed)?.failure).toMatchObject({
      kind: 'port-taken',
      what: `127.0.0.1:27017 is held by ${holder}`,
    });
  });
  it("another memt project's engine is a taken port", () => {
    expect(mongodb({ probe: { ...healthy, owner: 'other' }, holder })?.failure).toMatchObject({
      kind: 'port-taken',
      cause: 'It is the MongoDB of another memt project',
      mend: 'Stop it, or set another port: memt up --mongodb-port 27018',
    });
  });
  it('a port that is held but silent is taken', () => {
    const silent = { kind: 'silent', reason: 'it listens, but says nothing within 2000 ms', owner: null } as const;
    expect(mongodb({ probe: silent, holder })?.failure?.cause).toContain('says nothing');
  });
  it('the real program wins over the embedded engine', () => {
    expect(mongodb({ binary: { path: '/usr/bin/mongod', version: '7.0.1' } })).toMatchObject({
      engine: 'spawned',
      reason: 'found /usr/bin/mongod',
    });
  });
  it('an environment without embedded engines refuses with both ways out', () => {
    const failure = mongodb({}, { allowEmbedded: false, environment: 'production' })?.failure;
    expect(failure).toMatchObject({ kind: 'engine-missing', unit: 'mongodb' });
    expect(failure?.mend).toMatch(/Install MongoDB or set mongodb.uri.*--allow-embedded/);
    const queue = stepOf({}, 'rabbitmq', { allowEmbedded: false, environment: 'production' })?.failure;
    expect(queue?.mend).toMatch(/Install RabbitMQ or set rabbitmq.url.*--allow-embedded/);
  });
  it('a data directory that cannot be used stops the plan', () => {
    const dataFailure = { kind: 'data-dir', what: '/data does not exist', mend: 'mkdir -p /data' } as const;
    expect(mongodb({ dataFailure })?.failure).toEqual({ ...dataFailure, unit: 'mongodb' });
  });
  it('a taken management page is named', () => {
    const step = stepOf(
      { rabbitmq: { ...free, otherPortsTaken: [{ port: 15672, holder: 'nginx (pid 3)' }] } },
      'rabbitmq',
    );
    expect(step?.failure?.what).toBe('127.0.0.1:15672 (its management page) is held by nginx (pid 3)');
  });
});

describe('forked units', () => {
  const alive = (instance: string, settingsDigest: string) => ({ instance, pid: 9, healthy: true, settingsDigest });
  it('are kept when they run with the same settings', () => {
    expect(stepOf({ forks: { web: { alive: [alive('web', 's')], portTakenBy: null } } }, 'web')).toMatchObject({
      action: 'keep',
      reason: 'already running',
    });
  });
  it('are restarted when their settings have changed', () => {
    expect(stepOf({ forks: { web: { alive: [alive('web', 'old')], portTakenBy: null } } }, 'web')?.action).toBe(
      'restart',
    );
  });
  it('only the missing process is started', () => {
    expect(
      stepOf({ forks: { worker: { alive: [alive('worker.0', 'w')], portTakenBy: null } } }, 'worker'),
    ).toMatchObject({
      action: 'start',
      reason: 'worker.1 not running; 2 processes',
    });
  });
  it('a taken web port names its holder and the way out', () => {
    expect(
      stepOf({ forks: { web: { alive: [], portTakenBy: 'node (pid 4711, user ana, server.js)' } } }, 'web')?.failure,
    ).toMatchObject({
      kind: 'port-taken',
      what: '127.0.0.1:5000 is held by node (pid 4711, user ana, server.js)',
      mend: 'Stop it, or: memt up --port 5001',
    });
  });
});
