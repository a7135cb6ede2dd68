import type { Settings } from '../model/settings.js';
import { REDACTED, redactUri } from '../util/redact.js';
import { settingOf } from './settings-table.js';

/** A setting as people may see it: secrets hidden, durations in ms, paths absolute. */
export interface EffectiveSetting {
  readonly key: string;
  readonly value: string | number | boolean | null;
  readonly origin: string;
}

/** Keys whose name in Settings differs from the config's. */
const FIELD: Readonly<Record<string, string>> = {
  'mongodb.dbpath': 'dataDir',
  'rabbitmq.url': 'uri',
  timeout: 'timeoutMs',
  gracefulTimeout: 'gracefulTimeoutMs',
  engine: 'engineMs',
  instance: 'instanceMs',
};

/** Every setting that applies, in the order of the table, with the environment first. */
export function effectiveSettings(settings: Settings): EffectiveSetting[] {
  return Object.entries(settings.origins).map(([key, origin]) => ({ key, value: shown(settings, key), origin }));
}

function shown(settings: Settings, key: string): EffectiveSetting['value'] {
  const value = valueOf(settings, key);
  const setting = settingOf(key);
  if (typeof value === 'string' && setting?.type === 'uri') return redactUri(value);
  return value !== null && setting?.secret ? REDACTED : value;
}

function valueOf(settings: Settings, key: string): EffectiveSetting['value'] {
  switch (key) {
    case 'environment':
      return settings.environment;
    case 'name':
      return settings.project;
    case 'cpus':
      return settings.cpus.cpus;
    case 'allowEmbedded':
      return settings.allowEmbedded;
    default:
      return fieldOf(settings, key);
  }
}

function fieldOf(settings: Settings, key: string): EffectiveSetting['value'] {
  const words = key.split('.');
  const word = words.at(-1) ?? '';
  const section = sectionOf(settings, words);
  const named = FIELD[key] ?? (words[0] === 'mongodb' || words[0] === 'rabbitmq' ? word : (FIELD[word] ?? word));
  const value: unknown = Reflect.get(section, named);
  const exported: unknown = setting(key) === 'entry' ? Reflect.get(section, 'exportName') : null;
  if (typeof value === 'string') return typeof exported === 'string' ? `${value}:${exported}` : value;
  return typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

function setting(key: string): string | undefined {
  return settingOf(key)?.type;
}

function sectionOf(settings: Settings, words: readonly string[]): object {
  switch (words[0] ?? '') {
    case 'mongodb':
      return settings.mongodb ?? {};
    case 'rabbitmq':
      return settings.rabbitmq ?? {};
    case 'web':
      return settings.web ?? {};
    case 'timeouts':
      return settings.timeouts;
    default: {
      const name = words[0] === 'workers' ? words[1] : 'worker';
      return settings.workers.find((worker) => worker.name === name) ?? {};
    }
  }
}
