import {
  SETTINGS,
  ENVIRONMENT_DEFAULTS,
  flagAttribute,
  settingOf,
  settingsIn,
  variableOf,
  type Setting,
} from './settings-table.js';
import { isGroupName, isPlainObject, type Problem } from './shape.js';
import { parseValue, type SettingValue } from './value.js';

/** Everything that can give a setting its value. */
export interface Sources {
  /** Name of the config file for origins. */
  readonly fileName: string;
  readonly root: string;
  readonly environment: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly overlay: Readonly<Record<string, unknown>>;
  /** .env files, strongest first. */
  readonly envFiles: readonly { readonly name: string; readonly variables: Readonly<Record<string, string>> }[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Command line options by commander's attribute; `set` holds `key=value` texts. */
  readonly flags: Readonly<Record<string, unknown>>;
}

/** A value and where it came from; `where` is how problems name the place. */
export interface Effective {
  readonly value: SettingValue | null;
  readonly origin: string;
}

interface Candidate {
  readonly raw: unknown;
  readonly origin: string;
}

/** The strongest value of one setting: flags, then variables, then .env files, then the config's overlay and base, then defaults. */
export function effectiveValue(sources: Sources, key: string): Effective | { readonly problem: Problem } {
  const setting = settingOf(key);
  if (!setting) throw new Error(`no setting ${key}`);
  const candidate = candidates(sources, key, setting).find(
    ({ raw }) => raw !== undefined && raw !== null && raw !== '',
  );
  if (!candidate) return { value: null, origin: 'default' };
  const parsed = parseValue(setting, candidate.raw, sources.root);
  return 'problem' in parsed
    ? { problem: { key: `${candidate.origin}: ${key}`, text: parsed.problem } }
    : { value: parsed.value, origin: candidate.origin };
}

function candidates(sources: Sources, key: string, setting: Setting): Candidate[] {
  const { fileName, environment } = sources;
  // Well-known variables belong to the unit of that name alone, not to every worker group.
  const variables = key === setting.key ? [variableOf(key), ...(setting.env ?? [])] : [variableOf(key)];
  const flag = key === setting.key && setting.flag !== undefined ? setting.flag.split(' ')[0] : undefined;
  const fromEnvironment = ENVIRONMENT_DEFAULTS[environment]?.[setting.key];
  return [
    { raw: setFlag(sources.flags, key), origin: `flag --set ${key}` },
    ...(flag === undefined ? [] : [{ raw: sources.flags[flagAttribute(flag)], origin: `flag ${flag}` }]),
    ...variables.map((name) => ({ raw: sources.env[name], origin: `environment variable ${name}` })),
    ...sources.envFiles.flatMap((file) => variables.map((name) => ({ raw: file.variables[name], origin: file.name }))),
    { raw: dig(sources.overlay, key), origin: `${fileName} (environments.${environment})` },
    { raw: dig(sources.config, key), origin: fileName },
    { raw: fromEnvironment, origin: `default (${environment})` },
    { raw: setting.default, origin: 'default' },
  ];
}

function setFlag(flags: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const texts = Array.isArray(flags['set']) ? (flags['set'] as readonly unknown[]) : [];
  const match = texts.findLast((text) => typeof text === 'string' && text.startsWith(`${key}=`));
  return typeof match === 'string' ? match.slice(key.length + 1) : undefined;
}

/** The value under a dotted key, own keys only. */
export function dig(object: unknown, key: string): unknown {
  let at = object;
  for (const word of key.split('.')) {
    if (!isPlainObject(at) || !Object.hasOwn(at, word)) return undefined;
    at = at[word];
  }
  return at;
}

/** Whether a unit's section is switched on: by an object or true, in the overlay if it speaks of it, else in the base. */
export function isOn(sources: Sources, section: string): boolean {
  const value = dig(sources.overlay, section) ?? dig(sources.config, section);
  return value !== undefined && value !== null && value !== false;
}

/** Names of the worker groups that are switched on, `worker` first. */
export function workerGroups(sources: Sources): { readonly name: string; readonly section: string }[] {
  const names = [sources.config['workers'], sources.overlay['workers']].flatMap((groups) =>
    isPlainObject(groups) ? Object.keys(groups) : [],
  );
  const groups = [...new Set(names)].filter(isGroupName).map((name) => ({ name, section: `workers.${name}` }));
  return [{ name: 'worker', section: 'worker' }, ...groups].filter(({ section }) => isOn(sources, section));
}

/** Dotted keys of every setting that applies: those of units that are off are left out. */
export function activeKeys(sources: Sources): string[] {
  const groups = workerGroups(sources);
  return [
    ...settingsIn('').keys(),
    ...SETTINGS.filter(({ key }) => key.startsWith('timeouts.')).map(({ key }) => key),
    ...['web', 'mongodb', 'rabbitmq']
      .filter((section) => isOn(sources, section))
      .flatMap((section) => [...settingsIn(section).keys()].map((word) => `${section}.${word}`)),
    ...groups.flatMap(({ section }) => [...settingsIn('worker').keys()].map((word) => `${section}.${word}`)),
  ];
}
