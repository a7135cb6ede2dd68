import { inspect } from 'node:util';
import { suggest } from '../util/suggest.js';
import { SECTIONS, SETTINGS, UNIT_SECTIONS, settingsIn } from './settings-table.js';
import { parseValue } from './value.js';

/** One thing wrong with one key. */
export interface Problem {
  /** Dotted key; empty for the whole config. */
  readonly key: string;
  readonly text: string;
}

/** Words of other tools, and what memt calls the same thing. */
const SYNONYMS: Readonly<Record<string, string>> = {
  'web.script': 'web.app',
  'web.entry': 'web.app',
  'web.main': 'web.app',
  'web.wsgi': 'web.app',
  'web.bind': 'web.host',
  'web.address': 'web.host',
  'web.instances': 'web.workers',
  'web.processes': 'web.workers',
  'web.kill_timeout': 'web.gracefulTimeout',
  'worker.workers': 'worker.processes',
  'worker.instances': 'worker.processes',
  'worker.app': 'worker.tasks',
  'worker.script': 'worker.tasks',
  'worker.prefetch': 'worker.concurrency',
  'mongodb.url': 'mongodb.uri',
  'mongodb.dataDir': 'mongodb.dbpath',
  'mongodb.db': 'mongodb.database',
  'mongodb.name': 'mongodb.database',
  'rabbitmq.uri': 'rabbitmq.url',
  'rabbitmq.username': 'rabbitmq.user',
  'rabbitmq.dbpath': 'rabbitmq.dataDir',
  mongo: 'mongodb',
  mongod: 'mongodb',
  rabbit: 'rabbitmq',
  amqp: 'rabbitmq',
  celery: 'worker',
  server: 'web',
  http: 'web',
  gunicorn: 'web',
  env: 'environments',
};
const TOP_KEYS = [...settingsIn('').keys(), ...SECTIONS, 'workers', 'nginx', 'environments'];

/** Names that a worker group must not take: they are units or parts of memt. */
const RESERVED_UNITS = new Set(['mongodb', 'rabbitmq', 'web', 'worker', 'nginx', 'keeper', 'pm2', 'memt', 'all']);

/** True for what `{}` makes: the only thing that may hold keys. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  // A config that was made in another realm (vm, worker) has another Object.prototype, whose own prototype is null all the same.
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** True when a worker group may be called so. */
export function isGroupName(name: string): boolean {
  return /^[a-z][a-z0-9-]{0,30}$/.test(name) && !RESERVED_UNITS.has(name);
}

/** Every unknown key and wrong value of a config as the user wrote it, overlays included. */
export function shapeProblems(config: unknown, root: string): Problem[] {
  if (!isPlainObject(config))
    return [{ key: '', text: `expected defineStack({ … }) to be given an object, got ${kindOf(config)}` }];
  const overlays = config['environments'];
  return [...levelProblems(config, '', TOP_KEYS, root), ...overlayProblems(overlays, root)];
}

function overlayProblems(overlays: unknown, root: string): Problem[] {
  if (overlays === undefined || overlays === null) return [];
  if (!isPlainObject(overlays)) return [{ key: 'environments', text: `expected an object, got ${kindOf(overlays)}` }];
  const keys = TOP_KEYS.filter((key) => key !== 'environments');
  return Object.entries(overlays).flatMap(([name, overlay]) => {
    const path = `environments.${name}`;
    if (!/^[a-z][\w-]*$/i.test(name)) return [{ key: path, text: 'expected a name of letters, digits, - and _' }];
    if (overlay === undefined || overlay === null) return [];
    return isPlainObject(overlay)
      ? levelProblems(overlay, `${path}.`, keys, root)
      : [{ key: path, text: `expected an object, got ${kindOf(overlay)}` }];
  });
}

function levelProblems(
  config: Readonly<Record<string, unknown>>,
  prefix: string,
  known: readonly string[],
  root: string,
): Problem[] {
  const scalars = settingsIn('');
  return Object.entries(config).flatMap(([key, value]): Problem[] => {
    const path = `${prefix}${key}`;
    if (value === undefined || value === null || (key === 'environments' && prefix === '')) return [];
    const scalar = scalars.get(key);
    if (scalar) return valueProblem(path, parseValue(scalar, value, root));
    if (key === 'workers') return groupProblems(value, path, root);
    if (key === 'nginx')
      return value === false
        ? []
        : [{ key: path, text: 'this version of memt starts no nginx; leave it out or set it to false' }];
    if (!(SECTIONS as readonly string[]).includes(key)) return [unknownKey(path, key, '', known)];
    return sectionProblems(value, path, key, root);
  });
}

function sectionProblems(value: unknown, path: string, section: string, root: string): Problem[] {
  const isUnit = (UNIT_SECTIONS as readonly string[]).includes(section);
  if (isUnit && typeof value === 'boolean') return [];
  if (!isPlainObject(value))
    return [{ key: path, text: `expected an object${isUnit ? ' or false' : ''}, got ${kindOf(value)}` }];
  const known = settingsIn(section);
  return Object.entries(value).flatMap(([key, raw]) => {
    if (raw === undefined || raw === null) return [];
    const setting = known.get(key);
    return setting
      ? valueProblem(`${path}.${key}`, parseValue(setting, raw, root))
      : [unknownKey(`${path}.${key}`, key, section, [...known.keys()])];
  });
}

function groupProblems(value: unknown, path: string, root: string): Problem[] {
  if (!isPlainObject(value))
    return [
      {
        key: path,
        text: `expected groups such as { mail: { tasks: './mail.js' } }, got ${kindOf(value)} (web's instance count is web.workers)`,
      },
    ];
  return Object.entries(value).flatMap(([name, group]) => {
    const own = `${path}.${name}`;
    if (!/^[a-z][a-z0-9-]{0,30}$/.test(name))
      return [{ key: own, text: 'expected a name of at most 31 small letters, digits and -' }];
    if (RESERVED_UNITS.has(name)) return [{ key: own, text: `'${name}' is a name of memt's own; choose another` }];
    return group === undefined || group === null ? [] : sectionProblems(group, own, 'worker', root);
  });
}

function valueProblem(key: string, parsed: ReturnType<typeof parseValue>): Problem[] {
  return 'problem' in parsed ? [{ key, text: parsed.problem }] : [];
}

function unknownKey(path: string, key: string, section: string, known: readonly string[]): Problem {
  const local = section === '' ? key : `${section}.${key}`;
  const here = suggest(key, known);
  const near = path.slice(0, path.length - key.length);
  const synonym = Object.hasOwn(SYNONYMS, local) ? SYNONYMS[local] : undefined;
  const inOverlay = /^environments\.[^.]+\./.exec(path)?.[0] ?? '';
  const target =
    synonym !== undefined
      ? `${path.slice(0, path.length - local.length)}${synonym}`
      : here !== undefined
        ? `${near}${here}`
        : elsewhere(key, section, inOverlay);
  const group =
    path.startsWith(`${inOverlay}workers.`) && synonym !== undefined ? `${near}${synonym.split('.')[1] ?? ''}` : target;
  return {
    key: path,
    text: `unknown key${group === undefined ? `; known here: ${known.join(', ')}` : `; did you mean ${group}?`}`,
  };
}

/** The only setting of this name in another section: `port` at the top is most likely `web.port`. */
function elsewhere(key: string, section: string, prefix: string): string | undefined {
  const found = SETTINGS.find((setting) => setting.key.endsWith(`.${key}`) && !setting.key.startsWith(`${section}.`));
  return found === undefined ? undefined : `${prefix}${found.key}`;
}

/** What a value is, in words. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Promise) return 'a promise';
  if (typeof value === 'string') return `the text '${value.length > 40 ? `${value.slice(0, 37)}…` : value}'`;
  if (typeof value === 'object') return `an object of class ${value.constructor.name}`;
  if (typeof value === 'function') return 'a function';
  return `the ${typeof value} ${inspect(value)}`;
}
