import type { Level } from '../../model/level.js';

const NAMES: Readonly<Record<string, Level>> = {
  trace: 'trace',
  silly: 'trace',
  finest: 'trace',
  debug: 'debug',
  verbose: 'debug',
  fine: 'debug',
  info: 'info',
  information: 'info',
  notice: 'info',
  http: 'info',
  log: 'info',
  success: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  err: 'error',
  severe: 'error',
  fatal: 'fatal',
  critical: 'fatal',
  crit: 'fatal',
  alert: 'fatal',
  emerg: 'fatal',
  emergency: 'fatal',
  panic: 'fatal',
};

/** The level that a logger's own word (`WARNING`, `crit`) or pino / bunyan number (`50`) means; undefined when it is none. */
export function levelFrom(value: unknown): Level | undefined {
  if (typeof value === 'string')
    return Object.hasOwn(NAMES, value.toLowerCase()) ? NAMES[value.toLowerCase()] : undefined;
  // Numbers below 10 could be syslog's, which count the other way round: not guessed.
  if (typeof value !== 'number' || !(value >= 10)) return undefined;
  if (value < 20) return 'trace';
  if (value < 30) return 'debug';
  if (value < 40) return 'info';
  if (value < 50) return 'warn';
  return value < 60 ? 'error' : 'fatal';
}
