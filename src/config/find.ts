import { existsSync, realpathSync, statSync, type Stats } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fail, ok, type Result } from '../model/result.js';

/** Where the project is: the config's absolute path and its folder, symbolic links resolved. */
export interface ConfigLocation {
  readonly root: string;
  readonly file: string;
}

/** Names in the order in which they are tried in each folder. */
export const CONFIG_NAMES = [
  'ecosystem.config.js',
  'ecosystem.config.mjs',
  'ecosystem.config.cjs',
  'ecosystem.config.ts',
] as const;

/** Names that people use for such a file and memt does not read: worth a sentence. */
const NEAR_MISSES = [
  'ecosystem.config.json',
  'ecosystem.json',
  'ecosystem.js',
  'ecosystem.config.mts',
  'memt.config.js',
  'pm2.config.js',
  'process.json',
];

/**
 * Finds the project's config without executing it: upward from `startDir`, or exactly `explicitFile` (relative to `startDir`; a
 * folder means the config inside it). Fails with `config-missing`, or `config-unreadable` for a form that this Node cannot load.
 */
export function findConfig(startDir: string, explicitFile?: string): Result<ConfigLocation> {
  const start = resolve(startDir);
  return explicitFile === undefined ? searchUpward(start) : explicit(resolve(start, explicitFile));
}

function explicit(path: string): Result<ConfigLocation> {
  const stat = statOf(path);
  if (stat?.isDirectory()) {
    const file = configIn(path);
    return file === undefined ? missing(`no ${CONFIG_NAMES[0]} in ${path}`, path) : located(file);
  }
  if (!stat) return missing(`no config file ${path}`, dirname(path));
  if (!/^\.[mc]?[jt]s$/.test(extname(path))) {
    return fail({
      kind: 'config-unreadable',
      what: `${path} is not a JavaScript module`,
      mend: `Give --config a .js, .mjs, .cjs or .ts file such as ${CONFIG_NAMES[0]}`,
    });
  }
  return located(path);
}

function searchUpward(start: string): Result<ConfigLocation> {
  const startStat = statOf(start);
  if (!startStat?.isDirectory()) return missing(`${start} is not a folder`, start);
  const skipped: string[] = [];
  for (let folder = start; ; folder = dirname(folder)) {
    const file = configIn(folder);
    if (file !== undefined && (folder === start || isTrusted(file, startStat))) return located(file);
    if (file !== undefined) skipped.push(file);
    if (folder === dirname(folder)) break;
  }
  const foreign = skipped.length > 0 ? `${skipped.join(', ')} belongs to another user and is not run` : undefined;
  return missing(`no ${CONFIG_NAMES[0]} (.mjs, .cjs, .ts) in ${start} or any folder above it`, start, foreign);
}

/** A config above the start runs only when it is ours, root's, or its owner's own project: nobody plants one in /tmp for us. */
function isTrusted(file: string, start: Stats): boolean {
  const owner = statOf(file)?.uid;
  return owner === undefined || owner === 0 || owner === process.getuid?.() || (owner === start.uid && start.uid !== 0);
}

function configIn(folder: string): string | undefined {
  return CONFIG_NAMES.map((name) => join(folder, name)).find((file) => statOf(file)?.isFile() ?? false);
}

function located(path: string): Result<ConfigLocation> {
  const root = realpathSync(dirname(path));
  const file = join(root, basename(path));
  if (/\.[mc]?ts$/.test(file) && !canLoadTypescript(root)) {
    return fail({
      kind: 'config-unreadable',
      what: `${file} is TypeScript, which Node ${process.versions.node} cannot load by itself`,
      mend: `npm install --save-dev tsx, or use Node 22.18 or newer, or rename it to ${CONFIG_NAMES[0]} and add // @ts-check`,
    });
  }
  return ok({ root, file });
}

function missing(what: string, folder: string, known?: string): Result<ConfigLocation> {
  const near = NEAR_MISSES.map((name) => join(folder, name)).find((file) => existsSync(file));
  const cause = known ?? (near === undefined ? undefined : `There is ${near}, but memt reads ${CONFIG_NAMES[0]}`);
  return fail({
    kind: 'config-missing',
    what,
    ...(cause === undefined ? {} : { cause }),
    mend: 'Go to your project, name it with -C DIR or --config FILE, or make a new one: npx memt init',
  });
}

/** True when Node strips types, or tsx is installed for the project. */
export function canLoadTypescript(root: string): boolean {
  return nodeStripsTypes() || tsxOf(root) !== undefined;
}

export function nodeStripsTypes(): boolean {
  return Boolean((process.features as { readonly typescript?: false | string }).typescript);
}

/** Absolute path of the project's tsx loader API, or undefined. */
export function tsxOf(root: string): string | undefined {
  try {
    const path = createRequire(join(root, 'package.json')).resolve('tsx/esm/api');
    // `require` resolves to the CommonJS twin, which does not work when it is imported.
    const twin = path.replace(/\.cjs$/, '.mjs');
    return existsSync(twin) ? twin : path;
  } catch {
    return undefined; // not installed
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined; // missing, or in a folder that we may not read: no config for us either way
  }
}
