// @ts-check
import amqplib from 'amqplib';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './project.mjs';

/** RabbitMQ started by hand with the management plugin, as the baseline of `up` and `down`; data stays warm between the runs. */
export async function rabbitmqBoot() {
  const root = mkdtempSync(join(tmpdir(), 'memt-bench-rabbit-'));
  const [port, dist, epmd, page] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  for (const name of ['home', 'mnesia', 'log']) mkdirSync(join(root, name));
  writeFileSync(join(root, 'home/.erlang.cookie'), 'BENCH');
  chmodSync(join(root, 'home/.erlang.cookie'), 0o400);
  writeFileSync(join(root, 'plugins'), '[rabbitmq_management].\n');
  writeFileSync(join(root, 'rabbitmq.conf'), `management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = ${page}\n`);
  writeFileSync(join(root, 'env'), '');
  const env = {
    PATH: process.env.PATH,
    HOME: join(root, 'home'),
    RABBITMQ_NODENAME: 'memtbench@localhost',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_DIST_PORT: String(dist),
    RABBITMQ_MNESIA_BASE: join(root, 'mnesia'),
    RABBITMQ_LOG_BASE: join(root, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(root, 'plugins'),
    RABBITMQ_CONF_ENV_FILE: join(root, 'env'),
    RABBITMQ_CONFIG_FILE: join(root, 'rabbitmq.conf'),
    ERL_EPMD_PORT: String(epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RUNNING_UNDER_SYSTEMD: 'true',
  };
  return {
    async once() {
      const started = performance.now();
      const child = spawn('/usr/lib/rabbitmq/bin/rabbitmq-server', [], { env, cwd: root, stdio: 'ignore' });
      const exited = new Promise((done) => child.once('exit', done));
      await firstChannel(port, 60_000);
      const bootMs = performance.now() - started;
      const stopping = performance.now();
      child.kill('SIGTERM');
      await exited;
      return { bootMs, stopMs: performance.now() - stopping };
    },
    remove() {
      // RabbitMQ leaves it running; it goes when no node is registered any more.
      spawnSync('epmd', ['-port', String(epmd), '-kill'], { env });
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** @param {number} port @param {number} ms */
async function firstChannel(port, ms) {
  const end = performance.now() + ms;
  for (;;) {
    try {
      const connection = await amqplib.connect(`amqp://guest:guest@127.0.0.1:${port}/`, { noDelay: true });
      await connection.createChannel();
      await connection.close();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(10);
    }
  }
}
