import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { delimiter, join } from 'node:path';
import { freePort, holderOf, isFree } from '../../src/host/ports.js';
import { pidsWithEnv } from '../../src/host/proc.js';
import { MEMT_ENV } from '../../src/model/launch.js';
import type { RabbitmqSettings } from '../../src/model/settings.js';
import type { Binary, EngineContext, EngineLaunch } from '../../src/ports/engine.js';
import { packageRoot } from '../../src/util/entries.js';
import type { Layout } from '../../src/util/layout.js';

/** Private helper ports: below the ephemeral range, away from every well-known one. */
const FIRST_HELPER_PORT = 20_000;
const HELPER_PORTS = 5_000;
const STANDARD_PATH = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/lib/erlang/bin', '/opt/homebrew/bin'];

/**
 * A broker of the project's own: node name, data, logs, plugins, cookie, epmd and every port are private, so that a
 * system broker is neither read nor touched.
 */
export async function launchRabbitmq(context: EngineContext<RabbitmqSettings>, binary: Binary): Promise<EngineLaunch> {
  const { settings, layout } = context;
  const { dataDir } = settings;
  const confDir = join(layout.runDir, 'rabbitmq');
  const home = join(dataDir, 'home');
  const logFile = join(layout.logDir, 'rabbitmq.log');
  const preferred = FIRST_HELPER_PORT + 2 * (Number.parseInt(layout.id.slice(0, 6), 16) % HELPER_PORTS);
  const epmdPort = await epmdPortFor(preferred, layout);
  const distPort = await freePort(epmdPort + 1);
  const managementPorts = settings.managementPort === null ? [] : [settings.managementPort];
  const inConfDir = (name: string): string => join(confDir, name);
  return {
    command: binary.path,
    args: [],
    // The configuration names its files relative to here: a path may hold what that format cannot quote.
    cwd: dataDir,
    env: {
      PATH: [...new Set([...(process.env['PATH'] ?? '').split(delimiter), ...STANDARD_PATH])]
        .filter(Boolean)
        .join(delimiter),
      HOME: home,
      LANG: 'C.UTF-8',
      LC_ALL: 'C.UTF-8',
      RABBITMQ_NODENAME: nodeName(dataDir, layout),
      RABBITMQ_MNESIA_BASE: unquotable(dataDir) ? '/proc/self/cwd' : dataDir,
      RABBITMQ_LOG_BASE: layout.logDir,
      RABBITMQ_LOGS: logFile,
      RABBITMQ_UPGRADE_LOG: logFile.replace(/\.log$/, '_upgrade.log'),
      RABBITMQ_CONF_ENV_FILE: inConfDir('env.conf'),
      RABBITMQ_CONFIG_FILE: inConfDir('rabbitmq.conf'),
      RABBITMQ_CONFIG_FILES: inConfDir('conf.d'),
      RABBITMQ_ADVANCED_CONFIG_FILE: inConfDir('advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: inConfDir('enabled_plugins'),
      RABBITMQ_DIST_PORT: String(distPort),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      ERL_EPMD_PORT: String(epmdPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      // No dump of the whole memory into the project when the virtual machine dies.
      ERL_CRASH_DUMP_SECONDS: '0',
      // Makes the script become the server instead of its parent: the pid that we signal is the broker's.
      RUNNING_UNDER_SYSTEMD: 'true',
      [MEMT_ENV.runDir]: layout.runDir,
    },
    directories: [dataDir, home, layout.logDir, confDir, inConfDir('conf.d')],
    files: [
      { path: inConfDir('rabbitmq.conf'), content: renderConfig(settings, layout), mode: 0o600 },
      { path: join(home, 'definitions.json'), content: definitions(settings), mode: 0o600 },
      { path: inConfDir('env.conf'), content: '', mode: 0o600 },
      { path: inConfDir('advanced.config'), content: '[].\n', mode: 0o600 },
      {
        path: inConfDir('enabled_plugins'),
        content: settings.managementPort === null ? '[].\n' : '[rabbitmq_management].\n',
        mode: 0o600,
      },
      ...cookieFile(home),
    ],
    stdoutFile: join(layout.logDir, 'rabbitmq.out'),
    logFile,
    ports: [settings.port, ...managementPorts, distPort],
    helperPorts: [epmdPort],
  };
}

/** RabbitMQ asks df for the free disk space without quoting the path, and then logs an error and watches the disk no more. */
function unquotable(path: string): boolean {
  return process.platform === 'linux' && !/^[\w./@:+,=-]+$/.test(path);
}

/** RabbitMQ's data belong to a node name: a project that was moved or copied keeps the one that its data were made with. */
function nodeName(dataDir: string, layout: Layout): string {
  return existing(dataDir) ?? `memt_${layout.id}@localhost`;
}

function existing(dataDir: string): string | undefined {
  try {
    return readdirSync(dataDir).find((name) => /^memt_[0-9a-f]{12}@localhost$/.test(name));
  } catch {
    return undefined; // not made yet
  }
}

/** The port of our own epmd when an earlier broker of ours left it behind, else a free one. */
async function epmdPortFor(preferred: number, layout: Layout): Promise<number> {
  if (await isFree(preferred)) return preferred;
  const pid = holderOf(preferred, '127.0.0.1')?.pid ?? null;
  if (pid !== null && pidsWithEnv(MEMT_ENV.runDir, layout.runDir).includes(pid)) return preferred;
  return freePort(preferred + 2);
}

/** Erlang wants the cookie for its owner alone; it is made once and never rewritten, since nobody may write to it. */
function cookieFile(home: string): EngineLaunch['files'] {
  const path = join(home, '.erlang.cookie');
  return existsSync(path) ? [] : [{ path, content: randomBytes(24).toString('hex'), mode: 0o400 }];
}

function renderConfig(settings: RabbitmqSettings, layout: Layout): string {
  const values: Readonly<Record<string, string>> = {
    listener: `${address(settings.host)}:${settings.port}`,
    cluster: `memt_${layout.id}`,
    management:
      settings.managementPort === null
        ? ''
        : `\n# The page with queues and rates.\nmanagement.tcp.ip = ${bare(settings.host)}\nmanagement.tcp.port = ${settings.managementPort}\n`,
  };
  const template = readFileSync(join(packageRoot, 'templates/rabbitmq.conf'), 'utf8');
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? '');
}

function address(host: string): string {
  const plain = bare(host);
  return isIP(plain) === 6 ? `[${plain}]` : plain;
}

/** Listeners take addresses, not names. */
function bare(host: string): string {
  return host === 'localhost' ? '127.0.0.1' : host;
}

/** The user (administrator of this broker), the project's vhost and `/`, which most tools expect. Holds a salted hash, not the password. */
function definitions({ user, password, vhost }: RabbitmqSettings): string {
  const vhosts = [...new Set(['/', vhost])];
  return JSON.stringify({
    users: [
      {
        name: user,
        password_hash: passwordHash(password),
        hashing_algorithm: 'rabbit_password_hashing_sha256',
        tags: 'administrator',
      },
    ],
    vhosts: vhosts.map((name) => ({ name })),
    permissions: vhosts.map((name) => ({ user, vhost: name, configure: '.*', write: '.*', read: '.*' })),
  });
}

function passwordHash(password: string): string {
  const salt = randomBytes(4);
  const digest = createHash('sha256').update(salt).update(password, 'utf8').digest();
  return Buffer.concat([salt, digest]).toString('base64');
}
