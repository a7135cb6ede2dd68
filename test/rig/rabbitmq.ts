import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'amqplib';
import { statOf } from '../../src/host/proc.js';
import { poll } from '../../src/util/deadline.js';

const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const BOOT_MS = 60_000;
const STOP_MS = 15_000;

export interface RealRabbitmq {
  readonly port: number;
  /** `amqp://guest:guest@127.0.0.1:<port>/` */
  readonly url: string;
  /** Ends the server and its epmd and removes its files. */
  stop(): Promise<void>;
}

/** True when Debian's rabbitmq-server is installed. */
export function hasRealRabbitmq(): boolean {
  return existsSync(SERVER);
}

/**
 * Boots the real server for one test: its own node name, ports, epmd, cookie, home and data, so that neither a system broker nor
 * another test is touched.
 */
export async function bootRealRabbitmq(): Promise<RealRabbitmq> {
  const dir = mkdtempSync(join(tmpdir(), 'memt-rmq-'));
  const [port, distPort, epmdPort] = await freePorts(3);
  for (const name of ['home', 'mnesia', 'log']) mkdirSync(join(dir, name));
  for (const name of ['env', 'plugins']) writeFileSync(join(dir, name), name === 'plugins' ? '[].' : '');
  writeFileSync(join(dir, 'rabbitmq.conf'), 'loopback_users.guest = true\n');
  const cookie = join(dir, 'home/.erlang.cookie');
  writeFileSync(cookie, `MEMT${process.pid}TEST`);
  chmodSync(cookie, 0o400);
  let output = '';
  const child = spawn(SERVER, [], {
    cwd: dir,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: join(dir, 'home'),
      LANG: 'C.UTF-8',
      RABBITMQ_NODENAME: `memt-test-${process.pid}-${port}@localhost`,
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_DIST_PORT: String(distPort),
      RABBITMQ_MNESIA_BASE: join(dir, 'mnesia'),
      RABBITMQ_LOG_BASE: join(dir, 'log'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'plugins'),
      RABBITMQ_CONF_ENV_FILE: join(dir, 'env'),
      RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq.conf'),
      RUNNING_UNDER_SYSTEMD: 'true',
      ERL_EPMD_PORT: String(epmdPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
    },
  });
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const url = `amqp://guest:guest@127.0.0.1:${port}/`;
  const stop = async (): Promise<void> => {
    await end(child);
    await endEpmd(epmdPort);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await poll(() => answers(url, child, () => output), { everyMs: 100, ms: BOOT_MS, what: 'the real RabbitMQ' });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, url, stop };
}

async function answers(url: string, child: ChildProcess, output: () => string): Promise<true | undefined> {
  if (child.exitCode !== null) throw new Error(`rabbitmq-server ended with ${child.exitCode}: ${output()}`);
  try {
    const connection = await connect(url, { noDelay: true, timeout: 2000 });
    await connection.close();
    return true;
  } catch {
    return undefined; // not that far yet
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  process.kill(-child.pid, 'SIGTERM');
  const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(timer);
}

/** epmd daemonises itself, so it is found by the port in its environment. */
async function endEpmd(port: number): Promise<void> {
  const own = readdirSync('/proc')
    .map(Number)
    .filter(
      (pid) =>
        Number.isInteger(pid) && statOf(pid)?.comm === 'epmd' && environmentOf(pid).includes(`ERL_EPMD_PORT=${port}`),
    );
  for (const pid of own) process.kill(pid, 'SIGKILL');
  await poll(() => (own.every((pid) => ['Z', undefined].includes(statOf(pid)?.state)) ? true : undefined), {
    everyMs: 20,
    ms: 5000,
    what: 'the end of epmd',
  });
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Free ports below the range from which the kernel takes local ports, so that nothing else is given them meanwhile. */
async function freePorts(count: number): Promise<[number, number, number]> {
  const found: number[] = [];
  for (let tries = 0; found.length < count && tries < 200; tries += 1) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (!found.includes(port) && (await isFree(port))) found.push(port);
  }
  return found as [number, number, number];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
