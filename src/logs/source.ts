import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Dialect } from './parse/dialect.js';

/** One stream of records: a file and its rotated predecessors, oldest first. */
export interface LogSource {
  /** `<logDir>/web.0.ndjson`: the current file's path, also when only rotated ones are left. */
  readonly path: string;
  readonly unit: string;
  readonly instance: string;
  readonly dialect: Dialect;
  readonly files: readonly string[];
}

const NAME = /^(.+?)\.(ndjson|log|out|err)(?:\.(\d{1,9}|\d{4}-\d{2}-\d{2}T[\d-]+))?$/;

/** Every source in the folder, by path; empty when the folder is missing. */
export function findSources(logDir: string): LogSource[] {
  const found = new Map<
    string,
    { readonly source: LogSource; readonly files: { name: string; suffix: string | undefined }[] }
  >();
  for (const name of namesIn(logDir)) {
    const match = NAME.exec(name);
    if (!match) continue;
    const [, stem = '', kind = '', suffix] = match;
    const key = `${stem}.${kind}`;
    const entry = found.get(key) ?? { source: describe(logDir, key, stem, kind), files: [] };
    entry.files.push({ name, suffix });
    found.set(key, entry);
  }
  return [...found.values()]
    .map(({ source, files }) => ({ ...source, files: files.sort(byAge).map(({ name }) => join(logDir, name)) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // nothing was logged yet
  }
}

function describe(logDir: string, key: string, stem: string, kind: string): LogSource {
  // RabbitMQ keeps the log of its upgrades in a file of its own.
  const instance = kind === 'log' ? stem.replace(/_upgrade$/, '') : stem;
  return { path: join(logDir, key), unit: unitOf(instance), instance, dialect: dialectOf(instance, kind), files: [] };
}

/** `web.0` -> `web`; `mongodb` -> `mongodb`. */
export function unitOf(instance: string): string {
  return instance.replace(/\.\d+$/, '');
}

function dialectOf(instance: string, kind: string): Dialect {
  if (kind === 'ndjson') return 'ndjson';
  if (instance.startsWith('rabbitmq')) return 'rabbitmq';
  if (kind === 'log') return instance.startsWith('mongo') ? 'mongod' : 'stdout';
  return kind === 'err' ? 'stderr' : 'stdout';
}

/** Numbered files: the greater, the older. Dated files: the later date, the newer. The file without a suffix is the newest. */
function byAge(a: { readonly suffix: string | undefined }, b: { readonly suffix: string | undefined }): number {
  if (a.suffix === undefined || b.suffix === undefined)
    return a.suffix === b.suffix ? 0 : a.suffix === undefined ? 1 : -1;
  const [left, right] = [Number(a.suffix), Number(b.suffix)];
  if (Number.isNaN(left) || Number.isNaN(right)) return a.suffix < b.suffix ? -1 : 1;
  return right - left;
}

/** True when the source is one of the asked units or instances; none asked means all. */
export function isSelected(source: LogSource, names: readonly string[]): boolean {
  return names.length === 0 || names.includes(source.unit) || names.includes(source.instance);
}
