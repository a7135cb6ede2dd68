import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { loadSettings } from '../config/load.js';
import type { ControlServer } from '../control/server.js';
import type { LogFields, Logger } from '../logs/capture.js';
import { FailureError } from '../model/failure.js';
import { MEMT_ENV, type Launch } from '../model/launch.js';
import type { Level } from '../model/level.js';
import type { MongodbSettings, RabbitmqSettings, Settings } from '../model/settings.js';
import { layoutOf, type Layout } from '../util/layout.js';
import { userUmask } from '../util/private-umask.js';

/**
 * The launch of a process that PM2 started by itself (`pm2 start ecosystem.config.js`): its settings come from the config named by
 * MEMT_CONFIG (else the one above the working directory), its engines are the configured URIs or the configured ports.
 * @throws FailureError when the config cannot be used, or has no unit MEMT_UNIT
 */
export async function bareLaunch(env: NodeJS.ProcessEnv = process.env): Promise<Launch> {
  const file = env[MEMT_ENV.config];
  const unit = env[MEMT_ENV.unit] ?? '';
  const loaded = await loadSettings({ cwd: process.cwd(), ...(file === undefined ? {} : { file }), flags: {}, env });
  if (!loaded.ok) throw new FailureError(loaded.failure);
  const settings = loaded.value;
  const own = unit === 'web' ? settings.web : (settings.workers.find(({ name }) => name === unit) ?? null);
  if (own === null) {
    const units = [...settings.workers.map(({ name }) => name), ...(settings.web ? ['web'] : [])];
    throw new FailureError({
      kind: 'config-invalid',
      what: `${settings.configFile} has no unit '${unit}' in environment ${settings.environment}`,
      cause: `PM2 was told to run it by MEMT_UNIT; there are ${units.join(', ') || 'none'}`,
      mend: `pm2 delete it, then: pm2 start ${settings.configFile}`,
    });
  }
  return {
    schema: 1,
    project: settings.project,
    root: settings.root,
    environment: settings.environment,
    unit,
    env: settings.env,
    umask: userUmask(),
    settingsDigest: createHash('sha256').update(JSON.stringify(own)).digest('hex').slice(0, 16),
    settings: own,
    engines: engineUris(settings),
  };
}

/** Where the engines are without memt: a configured URI as it is, else the configured address. */
export function engineUris({ mongodb, rabbitmq }: Pick<Settings, 'mongodb' | 'rabbitmq'>): Launch['engines'] {
  return { mongodb: mongodb && mongodbUri(mongodb), rabbitmq: rabbitmq && rabbitmqUrl(rabbitmq) };
}

function mongodbUri({ uri, host, port, database }: MongodbSettings): string {
  return uri ?? `mongodb://${bracketed(host)}:${port}/${encodeURIComponent(database)}`;
}

function rabbitmqUrl({ uri, host, port, user, password, vhost }: RabbitmqSettings): string {
  const account = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  return uri ?? `amqp://${account}@${bracketed(host)}:${port}/${encodeURIComponent(vhost)}`;
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Logs to stdout and stderr, which PM2 collects: one JSON record a line, as memt's own log files have them. */
export function bareLogger(unit: string, instance: string): Logger {
  const at =
    (level: Level) =>
    (text: string, fields: LogFields = {}): void => {
      const { err, ...rest } = fields;
      const stack = err instanceof Error ? err.stack : undefined;
      const record = {
        time: new Date().toISOString(),
        level,
        unit,
        instance,
        pid: process.pid,
        text,
        fields: rest,
        stack,
      };
      const stream = level === 'error' || level === 'fatal' ? process.stderr : process.stdout;
      stream.write(`${JSON.stringify(record)}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), fatal: at('fatal') };
}

/** A state of its own, so that memt never takes a process for one of its stack. */
export function bareLayout(root: string): Layout {
  return layoutOf(join(root, '.memt/bare'));
}

/** Nobody asks a process that memt does not know. */
export const bareControl: ControlServer = { handle: () => undefined, close: () => Promise.resolve() };
