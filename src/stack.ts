import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CONFIG_NAMES } from './config/find.js';
import { MEMT_ENV } from './model/launch.js';
import { ENTRIES } from './util/entries.js';
import type { StackConfig } from './config/stack-config.js';

export type {
  Count,
  Duration,
  EnvironmentConfig,
  MongodbConfig,
  RabbitmqConfig,
  StackConfig,
  WebConfig,
  WorkerConfig,
} from './config/stack-config.js';

/** One application as PM2 takes it in `apps`: what `pm2 start ecosystem.config.js` runs without memt. */
export interface Pm2App {
  readonly name: string;
  /** Absolute path of memt's own program for the unit. */
  readonly script: string;
  readonly cwd: string;
  readonly exec_mode: 'fork';
  readonly instances: 1;
  readonly pmx: false;
  readonly treekill: false;
  readonly vizion: false;
  /** Time to drain before SIGKILL, ms. */
  readonly kill_timeout: number;
  readonly env: Readonly<Record<string, string>>;
}

/** What a config file exports: `apps` for PM2, `memt` for memt. */
export interface DefinedStack {
  readonly apps: readonly Pm2App[];
  readonly memt: StackConfig;
}

/** Longest drain under bare PM2, ms: above the default graceful timeout of 30 s, so that PM2 never cuts it short. */
const KILL_TIMEOUT_MS = 35_000;

/**
 * Describes the stack. Checks nothing and never throws: `memt config check` (and every `memt up`) reports all problems at once.
 *
 * @example
 * // ecosystem.config.js
 * // @ts-check
 * import { defineStack } from 'memt/config';
 * export const { apps, memt } = defineStack({
 *   web: { app: './server.js' },
 *   worker: { tasks: './tasks.js' },
 *   mongodb: {},
 *   rabbitmq: {},
 * });
 */
export function defineStack(config: StackConfig): DefinedStack {
  return { apps: appsOf(config, callerFile()), memt: config };
}

/** PM2's view: one process per worker and one web server, whatever the values look like. */
function appsOf(config: unknown, file: string | undefined): Pm2App[] {
  const sections = recordOf(config);
  const groups = Object.keys(recordOf(sections['workers']));
  const name = typeof sections['name'] === 'string' && sections['name'] !== '' ? `${sections['name']}-` : '';
  return [
    ...(isOn(sections['worker']) ? [appOf(`${name}worker`, 'worker', ENTRIES.worker, file)] : []),
    ...groups
      .filter((group) => isOn(recordOf(sections['workers'])[group]))
      .map((group) => appOf(`${name}${group}`, group, ENTRIES.worker, file)),
    ...(isOn(sections['web']) ? [appOf(`${name}web`, 'web', ENTRIES.web, file)] : []),
  ];
}

function appOf(name: string, unit: string, script: string, file: string | undefined): Pm2App {
  const cwd = file === undefined ? process.cwd() : join(file, '..');
  return {
    name,
    script,
    cwd,
    exec_mode: 'fork',
    instances: 1,
    pmx: false,
    treekill: false,
    vizion: false,
    kill_timeout: KILL_TIMEOUT_MS,
    env: { [MEMT_ENV.unit]: unit, ...(file === undefined ? {} : { [MEMT_ENV.config]: file }) },
  };
}

/** The config file that is being executed: the first frame outside this module, else the config in the working directory. */
function callerFile(): string | undefined {
  const own = fileURLToPath(import.meta.url);
  const caller = stackFiles().find((file) => file !== own);
  if (caller !== undefined && /\.[mc]?[jt]s$/.test(caller) && existsSync(caller)) {
    // A helper module may call defineStack for the config: then the frame that has a config's name is the right one.
    return stackFiles().find((file) => (CONFIG_NAMES as readonly string[]).includes(basename(file))) ?? caller;
  }
  return CONFIG_NAMES.map((name) => join(process.cwd(), name)).find((file) => existsSync(file));
}

/** Absolute paths of the files on the call stack, nearest first. */
function stackFiles(): string[] {
  const stack = new Error().stack ?? '';
  return [...stack.matchAll(/(file:\/\/[^\s()]+?|\/[^\n()]*?):\d+:\d+\)?$/gm)].map(([, path = '']) => {
    const plain = path.replace(/\?.*$/, '');
    return plain.startsWith('file:') ? fileURLToPath(plain) : plain;
  });
}

function isOn(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
