import { basename } from 'node:path';
import { loadSettings } from '../config/load.js';
import { checkInstallation } from '../config/preflight.js';
import { effectiveSettings } from '../config/effective.js';
import { EXIT, type ExitCode } from '../model/exit.js';
import { FailureError } from '../model/failure.js';
import type { Settings } from '../model/settings.js';
import type { ConfigVerbOptions } from './config.js';
import { startDirectory } from './globals.js';

/** @throws FailureError config-missing, config-unreadable, config-invalid, entry-missing, installation */
export async function checkConfig(options: ConfigVerbOptions): Promise<ExitCode> {
  const settings = await load(options);
  const installation = checkInstallation(settings.root, settings.environment);
  if (!installation.ok) throw new FailureError(installation.failure);
  const { configFile, environment, warnings = [] } = settings;
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ schema: 1, file: configFile, environment, valid: true, warnings })}\n`);
    return EXIT.ok;
  }
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(
    `${basename(configFile)} is fine: environment ${environment}; ${unitsOf(settings).join(', ') || 'no units'}\n`,
  );
  return EXIT.ok;
}

/** @throws FailureError as `checkConfig` */
export async function printConfig(options: ConfigVerbOptions): Promise<ExitCode> {
  const settings = await load(options);
  const rows = effectiveSettings(settings);
  if (options.json) {
    const { configFile, environment } = settings;
    process.stdout.write(`${JSON.stringify({ schema: 1, file: configFile, environment, settings: rows })}\n`);
    return EXIT.ok;
  }
  const texts = rows.map(({ key, value, origin }) => [key, value === null ? '-' : String(value), origin] as const);
  const width = (column: 0 | 1): number => Math.min(48, Math.max(...texts.map((row) => row[column].length)));
  const lines = texts.map(([key, value, origin]) => `${key.padEnd(width(0))}  ${value.padEnd(width(1))}  ${origin}`);
  process.stdout.write(`${[`# ${settings.configFile}`, ...lines].join('\n')}\n`);
  return EXIT.ok;
}

async function load(options: ConfigVerbOptions): Promise<Settings> {
  const loaded = await loadSettings({
    cwd: startDirectory(options),
    ...(options.config === undefined ? {} : { file: options.config }),
    ...(options.env === undefined ? {} : { environment: options.env }),
    flags: { set: options.set },
    env: process.env,
  });
  if (!loaded.ok) throw new FailureError(loaded.failure);
  return loaded.value;
}

function unitsOf({ mongodb, rabbitmq, workers, web }: Settings): string[] {
  return [
    ...(mongodb ? [mongodb.uri === null ? `mongodb on port ${mongodb.port}` : 'mongodb external'] : []),
    ...(rabbitmq ? [rabbitmq.uri === null ? `rabbitmq on port ${rabbitmq.port}` : 'rabbitmq external'] : []),
    ...workers.map(({ name, processes }) => `${name} x ${processes}`),
    ...(web ? [`web x ${web.workers} on ${web.host}:${web.port}`] : []),
  ];
}
