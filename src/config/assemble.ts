import { join } from 'node:path';
import type {
  CpuCount,
  EngineSettings,
  MongodbSettings,
  RabbitmqSettings,
  Settings,
  WebSettings,
  WorkerSettings,
} from '../model/settings.js';
import { evaluateCount, type CountFormula } from './count.js';
import { parseEngineUri } from './engine-uri.js';
import { activeKeys, effectiveValue, isOn, workerGroups, type Effective, type Sources } from './layers.js';
import { defaultProjectName, sanitizeProjectName } from './project-name.js';
import type { Problem } from './shape.js';
import { settingOf } from './settings-table.js';
import { parseValue, type EntryValue } from './value.js';

/** Everything of Settings that comes from the table, with what is wrong. */
export interface Assembled {
  readonly settings: Omit<Settings, 'configFile' | 'env' | 'warnings'>;
  /** Entry paths as written, by dotted key. */
  readonly entries: readonly {
    readonly key: string;
    readonly unit: string;
    readonly origin: string;
    readonly entry: EntryValue;
  }[];
  readonly problems: readonly Problem[];
}

/** Takes the strongest value of every setting; a broken or missing one becomes a problem and its default. */
export function assemble(sources: Sources, measured: CpuCount): Assembled {
  const values = new Values(sources);
  const { root } = sources;
  const fallback = defaultProjectName(root);
  const name = values.text('name');
  if (name === null) values.origins['name'] = fallback.origin;
  const project = name === null ? fallback.name : sanitizeProjectName(name);
  const configuredCpus = values.numberOrNull('cpus');
  const cpus: CpuCount = configuredCpus === null ? measured : { cpus: configuredCpus, source: 'configured' };
  if (configuredCpus === null) values.origins['cpus'] = measured.source;
  const settings = {
    project,
    root,
    environment: sources.environment,
    allowEmbedded: values.flag('allowEmbedded') ?? true,
    cpus,
    timeouts: { engineMs: values.number('timeouts.engine'), instanceMs: values.number('timeouts.instance') },
    mongodb: isOn(sources, 'mongodb') ? mongodbOf(values, root, project) : null,
    rabbitmq: isOn(sources, 'rabbitmq') ? rabbitmqOf(values, root, project) : null,
    workers: workerGroups(sources).map(({ name: unit, section }) => workerOf(values, unit, section, cpus)),
    web: isOn(sources, 'web') ? webOf(values, cpus) : null,
    origins: values.origins,
  };
  return { settings, entries: values.entries, problems: values.problems };
}

function mongodbOf(values: Values, root: string, project: string): MongodbSettings {
  const parts = values.uri('mongodb.uri');
  const named = values.text('mongodb.database');
  const database = named ?? parts?.name ?? project;
  if (named === null)
    values.origins['mongodb.database'] = parts?.name == null ? 'project name' : values.origin('mongodb.uri');
  return {
    ...engineOf(values, 'mongodb', 'uri', 'dbpath', root),
    ...(parts ? { host: parts.host, port: parts.port } : {}),
    database,
  };
}

function rabbitmqOf(values: Values, root: string, project: string): RabbitmqSettings {
  const parts = values.uri('rabbitmq.url');
  const named = values.text('rabbitmq.vhost');
  const external = values.text('rabbitmq.url') !== null;
  const managementPort = values.get('rabbitmq.managementPort');
  // An external URL without a path means the server's default vhost, as every AMQP client reads it.
  const vhost = named ?? parts?.name ?? (external ? '/' : project);
  if (named === null) values.origins['rabbitmq.vhost'] = external ? values.origin('rabbitmq.url') : 'project name';
  return {
    ...engineOf(values, 'rabbitmq', 'url', 'dataDir', root),
    ...(parts ? { host: parts.host, port: parts.port } : {}),
    vhost,
    user: parts?.user ?? values.text('rabbitmq.user') ?? 'guest',
    password: parts?.password ?? values.text('rabbitmq.password') ?? 'guest',
    managementPort: typeof managementPort === 'number' ? managementPort : null,
  };
}

function engineOf(values: Values, section: string, uriKey: string, dataKey: string, root: string): EngineSettings {
  return {
    uri: values.text(`${section}.${uriKey}`),
    host: values.text(`${section}.host`) ?? '127.0.0.1',
    port: values.number(`${section}.port`),
    dataDir: values.text(`${section}.${dataKey}`) ?? join(root, '.memt/data', section),
    dataDirConfigured: !values.origin(`${section}.${dataKey}`).startsWith('default'),
    binary: values.text(`${section}.binary`),
    engine: values.get(`${section}.engine`) as EngineSettings['engine'],
    adopt: values.flag(`${section}.adopt`) ?? true,
  };
}

function workerOf(values: Values, name: string, section: string, cpus: CpuCount): WorkerSettings {
  const { path, exportName } = values.entry(`${section}.tasks`, name);
  return {
    name,
    tasks: path,
    exportName,
    processes: values.count(`${section}.processes`, cpus).count,
    concurrency: values.number(`${section}.concurrency`),
    gracefulTimeoutMs: values.number(`${section}.gracefulTimeout`),
  };
}

function webOf(values: Values, cpus: CpuCount): WebSettings {
  const { path, exportName } = values.entry('web.app', 'web');
  const { count, reason } = values.count('web.workers', cpus);
  return {
    app: path,
    exportName,
    host: values.text('web.host') ?? '127.0.0.1',
    port: values.number('web.port'),
    workers: count,
    workersReason: reason,
    timeoutMs: values.number('web.timeout'),
    gracefulTimeoutMs: values.number('web.gracefulTimeout'),
    backlog: values.number('web.backlog'),
  };
}

/** Reads every active setting once and remembers problems and origins; the typed getters rely on `parseValue`'s rules. */
class Values {
  readonly origins: Record<string, string> = {};
  readonly problems: Problem[] = [];
  readonly entries: { key: string; unit: string; origin: string; entry: EntryValue }[] = [];
  readonly #values = new Map<string, Effective['value']>();
  readonly #root: string;

  constructor(sources: Sources) {
    this.#root = sources.root;
    for (const key of activeKeys(sources)) {
      const effective = effectiveValue(sources, key);
      if ('problem' in effective) {
        this.problems.push(effective.problem);
        this.#values.set(key, this.#default(key));
        continue;
      }
      this.#values.set(key, effective.value);
      this.origins[key] = effective.origin;
      if (effective.value === null && settingOf(key)?.required) {
        this.problems.push({
          key: `${sources.fileName}: ${key}`,
          text: `is missing; expected ${key.endsWith('.app') ? "your application's module, such as './server.js'" : "the module that defines your tasks, such as './tasks.js'"}`,
        });
      }
    }
  }

  #default(key: string): Effective['value'] {
    const setting = settingOf(key);
    if (setting?.default === undefined || setting.default === null) return null;
    const parsed = parseValue(setting, setting.default, this.#root);
    return 'value' in parsed ? parsed.value : null;
  }

  get(key: string): Effective['value'] {
    return this.#values.get(key) ?? null;
  }

  origin(key: string): string {
    return this.origins[key] ?? 'default';
  }

  text(key: string): string | null {
    const value = this.get(key);
    return typeof value === 'string' ? value : null;
  }

  flag(key: string): boolean | null {
    const value = this.get(key);
    return typeof value === 'boolean' ? value : null;
  }

  numberOrNull(key: string): number | null {
    const value = this.get(key);
    return typeof value === 'number' ? value : null;
  }

  number(key: string): number {
    const value = this.numberOrNull(key);
    if (value === null) throw new Error(`setting ${key} has neither a value nor a default`);
    return value;
  }

  entry(key: string, unit: string): EntryValue {
    const value = this.get(key);
    if (value === null || typeof value !== 'object' || !('path' in value))
      return { path: '', exportName: null, written: '' };
    this.entries.push({ key, unit, origin: this.origin(key), entry: value });
    return value;
  }

  count(key: string, cpus: CpuCount): { readonly count: number; readonly reason: string } {
    return evaluateCount(
      this.get(key) as CountFormula,
      cpus,
      this.origin(key).replace(/^(environment variable|flag) /, ''),
    );
  }

  uri(key: string): ReturnType<typeof parseEngineUri> {
    const uri = this.text(key);
    const parts = uri === null ? undefined : parseEngineUri(uri);
    if (uri !== null && !parts)
      this.problems.push({
        key: `${this.origin(key)}: ${key}`,
        text: 'is not a URI that can be read (hidden: it may hold a password)',
      });
    return parts;
  }
}
