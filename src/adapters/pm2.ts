import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FailureError } from '../model/failure.js';
import type { ForkSpec, ManagedProcess, ProcessManager } from '../ports/process-manager.js';
import { asError } from '../util/errors.js';
import { withDeadline } from '../util/deadline.js';
import type { Layout } from '../util/layout.js';
import { MEMT_ENV } from '../model/launch.js';

/** The part of pm2's API that memt uses; pm2's own types lack most of it (`treekill`, `pmx`, …). */
interface Pm2 {
  connect(done: (error: unknown) => void): void;
  disconnect(): void;
  start(app: Record<string, unknown>, done: (error: unknown) => void): void;
  list(done: (error: unknown, list: Pm2Row[]) => void): void;
  delete(name: string, done: (error: unknown) => void): void;
  getVersion(done: (error: unknown) => void): void;
}
interface Pm2Row {
  readonly name: string;
  readonly pid?: number;
  readonly pm2_env?: {
    readonly status?: ManagedProcess['state'];
    readonly restart_time?: number;
    readonly exit_code?: number;
  };
}

const CONNECT_MS = 15_000;
const CALL_MS = 10_000;
/** A daemon that is not stopped or stuck answers within milliseconds, on a busy machine within some hundred. */
const PING_MS = 5000;

/** All that PM2 and its daemon may see of the environment; the application's own arrives through the launch file. */
const ALLOWED = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'TZ', 'TMPDIR', 'LD_LIBRARY_PATH', 'LD_PRELOAD'],
  ...['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'NODE_PATH', 'UV_THREADPOOL_SIZE', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
]);

/**
 * PM2 with a PM2_HOME of the project's own. Loading pm2 creates folders and reads generic names such as SECRET_KEY as its own,
 * and its daemon inherits our environment: so this process's environment is cut down to the allow-list first, for good.
 */
export async function createPm2({ pm2Home: home, runDir }: Layout): Promise<ProcessManager> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  scrubEnvironment(home, runDir);
  const pm2 = ((await import('pm2')) as unknown as { default: Pm2 }).default;
  const call = <T = undefined>(
    what: string,
    ms: number,
    run: (done: (error: unknown, value: T) => void) => void,
  ): Promise<T> =>
    withDeadline(
      new Promise<T>((resolve, reject) => {
        run((error, value) => (error ? reject(firstError(error)) : resolve(value)));
      }),
      ms,
      `PM2 ${what}`,
    ).catch((error: unknown) => {
      throw new FailureError({
        kind: 'pm2',
        what: `PM2 could not ${what}: ${asError(error).message}`,
        cause: "PM2's daemon hangs or could not start",
        mend: `look into ${join(home, 'pm2.log')}, then: memt down && memt up`,
      });
    });
  return {
    async connect() {
      await call('connect to its daemon', CONNECT_MS, (done) => pm2.connect((error) => done(error, undefined)));
      // The kernel accepts connections for a daemon that is stopped or stuck: only an answer proves it.
      await call('get an answer from its daemon', PING_MS, (done) => pm2.getVersion((error) => done(error, undefined)));
      return { daemonPid: Number(readFileSync(join(home, 'pm2.pid'), 'utf8')) };
    },
    fork: async (spec) => {
      await call(`fork ${spec.name}`, CALL_MS, (done) => pm2.start(appOf(spec), (error) => done(error, undefined)));
    },
    list: async () => {
      const rows = await call<Pm2Row[]>('list its processes', CALL_MS, (done) => pm2.list(done));
      return rows.map(managed);
    },
    remove: async (name, graceMs) => {
      await call(`stop ${name}`, graceMs + CALL_MS, (done) =>
        pm2.delete(name, (error) => {
          const missing = error && /not found/i.test(firstError(error).message);
          done(missing ? null : error, undefined);
        }),
      );
    },
    disconnect: () => pm2.disconnect(),
  };
}

function scrubEnvironment(home: string, runDir: string): void {
  for (const name of Object.keys(process.env)) {
    if (!ALLOWED.has(name) && !name.startsWith('LC_') && !name.startsWith('MEMT_'))
      Reflect.deleteProperty(process.env, name);
  }
  // The keeper's own; a daemon that it starts is not the keeper.
  Reflect.deleteProperty(process.env, MEMT_ENV.instance);
  Reflect.deleteProperty(process.env, MEMT_ENV.launch);
  Object.assign(process.env, {
    // Marks the daemon, so that it is found even when its record is lost.
    [MEMT_ENV.runDir]: runDir,
    PM2_HOME: home,
    PM2_SILENT: 'true',
    PM2_PROGRAMMATIC: 'true',
    PM2_NO_INTERACTION: 'true',
    PM2_DISCRETE_MODE: 'true',
    PM2_DISABLE_VERSION_CHECK: 'true',
  });
}

function appOf(spec: ForkSpec): Record<string, unknown> {
  return {
    name: spec.name,
    script: spec.script,
    cwd: spec.cwd,
    env: spec.env,
    interpreter: process.execPath,
    node_args: spec.nodeArgs,
    exec_mode: 'fork',
    instances: 1,

    // With pm2-io inside, a fork dies when the daemon does (measured).
    pmx: false,
    vizion: false,
    // The web primary stops its own instances; a signal to the whole tree would cut their requests.
    treekill: false,
    kill_timeout: spec.graceMs,
    autorestart: true,
    min_uptime: 2000,
    max_restarts: 15,
    merge_logs: true,
    out_file: spec.outFile,
    error_file: spec.errorFile,
  };
}

/** pm2 gives an Error, a string, or an array of Errors (a missing script). */
function firstError(error: unknown): Error {
  return asError(Array.isArray(error) ? error[0] : error);
}

function managed(row: Pm2Row): ManagedProcess {
  return {
    name: row.name,
    pid: row.pid ?? null,
    state: row.pm2_env?.status ?? 'stopped',
    restarts: row.pm2_env?.restart_time ?? 0,
    exitCode: row.pm2_env?.exit_code ?? null,
  };
}
