import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createAmqpBroker } from '../../src/adapters/amqplib.js';
import { ask, type ControlAnswer } from '../../src/control/client.js';
import { MEMT_ENV } from '../../src/model/launch.js';
import type { ChildStatus } from '../../src/model/status.js';
import { poll } from '../../src/util/deadline.js';
import { packageRoot } from '../../src/util/entries.js';
import { layoutOf } from '../../src/util/layout.js';

export const RABBIT_PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server';
export const hasRabbit = existsSync(RABBIT_PROGRAM);

/** A port that was free a moment ago, below the range that the kernel hands out. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

export interface Rabbit {
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
}

/** A private RabbitMQ with its own node, data, cookie and epmd; everything is gone after `stop`. */
export async function startRabbit(): Promise<Rabbit> {
  const dir = mkdtempSync(join(tmpdir(), 'memt-rabbit-'));
  const [port, dist, epmd] = [await freePort(), await freePort(), await freePort()];
  const home = join(dir, 'home');
  mkdirSync(home);
  writeFileSync(join(home, '.erlang.cookie'), 'memtcontract');
  chmodSync(join(home, '.erlang.cookie'), 0o400);
  writeFileSync(join(dir, 'plugins'), '[].');
  writeFileSync(join(dir, 'empty.conf'), '');
  const child = spawn(RABBIT_PROGRAM, {
    cwd: dir,
    stdio: 'ignore',
    detached: true,
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: home,
      RABBITMQ_NODENAME: `memt${port}@localhost`,
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_DIST_PORT: String(dist),
      RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
      RABBITMQ_LOG_BASE: join(dir, 'log'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'plugins'),
      RABBITMQ_CONF_ENV_FILE: join(dir, 'empty.conf'),
      RABBITMQ_CONFIG_FILE: join(dir, 'empty'),
      ERL_EPMD_PORT: String(epmd),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RUNNING_UNDER_SYSTEMD: 'true',
    },
  });
  const url = `amqp://guest:guest@127.0.0.1:${port}/`;
  const broker = createAmqpBroker({ url, name: 'ready?' });
  const message = { id: 'x', type: 'x', contentType: 'text/plain', headers: {}, body: Buffer.from('x') };
  broker.declare({ exchanges: [], queues: [{ name: 'ready', args: {} }], bindings: [] });
  await poll(
    () =>
      broker.publish({ exchange: '', key: 'ready' }, message, { timeoutMs: 2000 }).then(
        () => true,
        () => undefined,
      ),
    { everyMs: 100, ms: 60_000, what: 'RabbitMQ' },
  );
  await broker.close();
  return {
    port,
    url,
    async stop() {
      await ended(child);
      await stopEpmd(epmd);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exit;
}

/** epmd outlives its nodes; its own protocol ends it: request 'k'. */
function stopEpmd(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from([0, 1, 0x6b])));
    socket.on('data', () => undefined);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
  });
}

/** A TCP proxy whose connections a test can cut, refuse or freeze. */
export interface Proxy {
  readonly port: number;
  /** Resets every connection and refuses new ones until `restore`. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  /** Passes nothing on any more, in either direction, without closing anything. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

export async function startProxy(targetPort: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let frozen = false;
  const accept = (inner: Socket): void => {
    const outer = connect(targetPort, '127.0.0.1');
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.pipe(to);
      if (frozen) from.pause();
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  };
  let server = await listen(accept, 0);
  const { port } = server.address() as { port: number };
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.resetAndDestroy();
    });
  return {
    port,
    cut: stop,
    restore: async () => {
      server = await listen(accept, port);
    },
    freeze: () => {
      frozen = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    thaw: () => {
      frozen = false;
      for (const socket of sockets) socket.destroy();
    },
    close: () => (server.listening ? stop() : Promise.resolve()),
  };
}

function listen(accept: (socket: Socket) => void, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(accept);
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/** The compiled package under test. */
export const distDir = process.env['MEMT_DIST'] ?? join(packageRoot, 'dist');
export const isBuilt = (entry: string): boolean => existsSync(join(distDir, entry));

/** A MongoDB to test against instead of the embedded document server. */
export const mongoUri = process.env['MEMT_TEST_MONGODB'];
export const hasDocuments = mongoUri !== undefined || isBuilt('services/mongodb/embedded/main.js');

const EMBEDDED = {
  mongodb: 'services/mongodb/embedded/main.js',
  rabbitmq: 'services/rabbitmq/embedded/main.js',
} as const;
const WORKER = 'services/worker/main.js';

/** A project in a temp folder whose processes are started as memt starts them, by a launch file and an open gate. */
export class Project {
  readonly root = mkdtempSync(join(tmpdir(), 'memt-tasks-'));
  readonly layout = layoutOf(this.root);
  readonly #children = new Set<ChildProcess>();

  constructor() {
    for (const dir of ['journalDir', 'launchDir', 'gateDir', 'logDir', 'dataDir'] as const) {
      mkdirSync(this.layout[dir], { recursive: true });
    }
    mkdirSync(join(this.root, 'node_modules'));
    symlinkSync(dirname(distDir), join(this.root, 'node_modules/memt'));
    this.write('package.json', '{ "type": "module" }');
  }

  write(file: string, content: string): void {
    writeFileSync(join(this.root, file), content);
  }

  read(file: string): string {
    return existsSync(join(this.root, file)) ? readFileSync(join(this.root, file), 'utf8') : '';
  }

  async startEmbedded(unit: 'mongodb' | 'rabbitmq'): Promise<{ readonly port: number; readonly url: string }> {
    const port = await freePort();
    const settings = {
      uri: null,
      host: '127.0.0.1',
      port,
      dataDir: join(this.layout.dataDir, unit),
      dataDirConfigured: false,
      binary: null,
      engine: 'embedded',
      adopt: false,
      database: 'app',
      vhost: '/',
      user: 'guest',
      password: 'guest',
      managementPort: null,
    };
    mkdirSync(settings.dataDir, { recursive: true });
    this.spawn(EMBEDDED[unit], unit, unit, settings, { mongodb: null, rabbitmq: null });
    await poll(() => connects(port), { everyMs: 20, ms: 20_000, what: `embedded ${unit}` });
    return {
      port,
      url: unit === 'mongodb' ? `mongodb://127.0.0.1:${port}/app` : `amqp://guest:guest@127.0.0.1:${port}/`,
    };
  }

  startWorker(
    instance: string,
    options: { readonly tasks: string; readonly engines: EngineUris; readonly gracefulTimeoutMs?: number },
  ): ChildProcess {
    const settings = {
      name: 'worker',
      tasks: join(this.root, options.tasks),
      exportName: null,
      processes: 1,
      concurrency: 4,
      gracefulTimeoutMs: options.gracefulTimeoutMs ?? 5000,
    };
    return this.spawn(WORKER, 'worker', instance, settings, options.engines);
  }

  async status(instance: string): Promise<ChildStatus | null> {
    const answer = await this.ask(instance, 'status');
    return answer.kind === 'answer' ? (answer.value as unknown as ChildStatus) : null;
  }

  ask(instance: string, op: string, timeoutMs = 1000): Promise<ControlAnswer> {
    return ask(join(this.layout.socketDir, `${instance}.sock`), op, {}, timeoutMs);
  }

  /** Waits until the instance's status is as wanted, and gives it. */
  until(instance: string, wanted: (status: ChildStatus) => boolean): Promise<ChildStatus> {
    return poll(
      async () => {
        const status = await this.status(instance);
        return status !== null && wanted(status) ? status : undefined;
      },
      { everyMs: 20, ms: 20_000, what: `status of ${instance}` },
    );
  }

  async remove(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all([...this.#children].map((child) => ended(child)));
    rmSync(this.root, { recursive: true, force: true });
  }

  private spawn(entry: string, unit: string, instance: string, settings: unknown, engines: EngineUris): ChildProcess {
    const file = join(this.layout.launchDir, `${instance}.json`);
    const launch = {
      schema: 1,
      project: 'tasks',
      root: this.root,
      environment: 'local',
      unit,
      env: {},
      settings,
      engines,
    };
    writeFileSync(file, JSON.stringify(launch));
    writeFileSync(join(this.layout.gateDir, unit), '');
    const child = spawn(process.execPath, [join(distDir, entry)], {
      cwd: this.root,
      env: { PATH: process.env['PATH'], [MEMT_ENV.launch]: file, [MEMT_ENV.instance]: instance },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }
}

export interface EngineUris {
  readonly mongodb: string | null;
  readonly rabbitmq: string | null;
}

function connects(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(undefined));
  });
}
