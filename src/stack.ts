import { existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluateCount, parseCount } from './config/count.js';
import { cpuCount } from './config/cpus.js';
import { CONFIG_NAMES } from './config/find.js';
import { readCpuFacts } from './host/cgroup.js';
import { MEMT_ENV } from './model/launch.js';
import { parseDuration } from './util/duration.js';
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
  readonly instances: number;
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

const GRACEFUL_MS = 30_000;
/** What PM2 waits beyond the graceful timeout before SIGKILL, ms: PM2 must never cut a drain short. */
const KILL_MARGIN_MS = 5_000;

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

/** PM2's view: the worker processes, and one web server which forks its own instances; whatever the values look like. */
function appsOf(config: unknown, file: string | undefined): Pm2App[] {
  const sections = recordOf(config);
  const prefix = typeof sections['name'] === 'string' && sections['name'] !== '' ? `${sections['name']}-` : '';
  const groups = Object.entries(recordOf(sections['workers']));
  const workers = [['worker', sections['worker']] as const, ...groups].filter(([, section]) => isOn(section));
  return [
    ...workers.map(([unit, section]) => ({
      ...appOf(prefix, unit, recordOf(section), file),
      script: ENTRIES.worker,
      instances: processesOf(recordOf(section)['processes']),
    })),
    ...(isOn(sections['web']) ? [appOf(prefix, 'web', recordOf(sections['web']), file)] : []),
  ];
}

function appOf(
  prefix: string,
  unit: string,
  section: Readonly<Record<string, unknown>>,
  file: string | undefined,
): Pm2App {
  const graceful = section['gracefulTimeout'];
  const gracefulMs = typeof graceful === 'string' || typeof graceful === 'number' ? parseDuration(graceful) : undefined;
  return {
    name: `${prefix}${unit}`,
    script: ENTRIES.web,
    cwd: file === undefined ? process.cwd() : dirname(file),
    exec_mode: 'fork',
    instances: 1,
    pmx: false,
    treekill: false,
    vizion: false,
    kill_timeout: (gracefulMs ?? GRACEFUL_MS) + KILL_MARGIN_MS,
    env: { [MEMT_ENV.unit]: unit, ...(file === undefined ? {} : { [MEMT_ENV.config]: file }) },
  };
}

/** The worker processes that memt would start; 1 for what is no count. */
function processesOf(raw: unknown): number {
  const given = raw === undefined || raw === null ? 'N' : raw;
  const formula = typeof given === 'string' || typeof given === 'number' ? parseCount(given) : undefined;
  return formula === undefined
    ? 1
    : Math.min(1024, Math.max(1, evaluateCount(formula, cpuCount(readCpuFacts()), '').count));
}

/** The config that is being executed: the caller that has a config's name, else the direct caller, else the config in the working directory. */
function callerFile(): string | undefined {
  const own = fileURLToPath(import.meta.url);
  const callers = stackFiles().filter((file) => file !== own && existsSync(file) && !file.includes('/node_modules/'));
  const isConfig = (file: string): boolean => (CONFIG_NAMES as readonly string[]).includes(basename(file));
  return (
    callers.find(isConfig) ??
    callers.find((file) => /\.[mc]?[jt]s$/.test(file)) ??
    CONFIG_NAMES.map((name) => join(process.cwd(), name)).find((file) => existsSync(file))
  );
}

/** Absolute paths of the files on the call stack, nearest first. */
function stackFiles(): string[] {
  const previous = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  const { stackTraceLimit } = Error;
  try {
    // As data, because paths with blanks and brackets cannot be read out of the text for sure.
    Error.prepareStackTrace = (_error, sites) => sites;
    Error.stackTraceLimit = 50;
    const sites = (new Error().stack ?? []) as unknown as readonly NodeJS.CallSite[];
    return sites.flatMap((site) => {
      const name = site.getFileName() ?? '';
      if (name.startsWith('file:')) return [fileURLToPath(name)];
      return isAbsolute(name) ? [name] : [];
    });
  } finally {
    if (previous) Object.defineProperty(Error, 'prepareStackTrace', previous);
    else Reflect.deleteProperty(Error, 'prepareStackTrace');
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function isOn(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
