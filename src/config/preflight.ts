import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Failure } from '../model/failure.js';
import { fail, ok, type Result } from '../model/result.js';
import { asError } from '../util/errors.js';
import { inRange } from '../util/semver-range.js';

interface Manifest {
  readonly name?: unknown;
  readonly engines?: { readonly node?: unknown };
  readonly dependencies?: Readonly<Record<string, string>>;
}
interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
  readonly peer?: boolean;
  readonly link?: boolean;
  readonly inBundle?: boolean;
}
interface LockFile {
  readonly packages?: Readonly<Record<string, LockedPackage>>;
}

/** Lock files and what installs from them, strongest first. */
const INSTALLERS = [
  ['pnpm-lock.yaml', 'pnpm install --frozen-lockfile'],
  ['yarn.lock', 'yarn install --frozen-lockfile'],
  ['bun.lock', 'bun install --frozen-lockfile'],
  ['bun.lockb', 'bun install --frozen-lockfile'],
  ['package-lock.json', 'npm ci'],
  ['npm-shrinkwrap.json', 'npm ci'],
] as const;

const SHOWN = 3;

/**
 * Whether the project around `root` is installed as its package.json and lock file want it, and this Node is one that it accepts:
 * what activating the right virtual environment with the right requirement file was. Reads a few files, loads nothing.
 * Development packages count only when some of them are installed.
 */
export function checkInstallation(
  root: string,
  environment: string,
  nodeVersion = process.versions.node,
): Result<void> {
  const folder = nearest(root, ['package.json']);
  if (folder === undefined) return ok(undefined);
  const file = join(folder, 'package.json');
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  } catch (error) {
    return fail({
      kind: 'installation',
      what: `${file} cannot be read: ${asError(error).message}`,
      mend: 'Correct package.json',
    });
  }
  const failure = nodeFailure(manifest, file, nodeVersion) ?? packagesFailure(manifest, folder, environment);
  return failure ? fail(failure) : ok(undefined);
}

function nodeFailure(manifest: Manifest, file: string, version: string): Failure | undefined {
  const range = manifest.engines?.node;
  if (typeof range !== 'string' || inRange(version, range) !== false) return undefined;
  return {
    kind: 'installation',
    what: `this is Node ${version}, but ${file} wants ${range} (engines)`,
    cause: `${process.execPath} is not the Node of this project`,
    mend: 'Switch Node with your version manager (nvm use, fnm use, volta), or install one that fits',
  };
}

function packagesFailure(manifest: Manifest, folder: string, environment: string): Failure | undefined {
  const wanted = Object.keys(manifest.dependencies ?? {}).filter((name) => name !== manifest.name);
  const lockFolder = lockFolderOf(folder);
  // Yarn's Plug'n'Play has no node_modules: its loader resolves, and complains by itself.
  if (['.pnp.cjs', '.pnp.js'].some((name) => existsSync(join(lockFolder, name)))) return undefined;
  const install = installCommand(lockFolder);
  const missing = wanted.filter((name) => !isInstalled(name, folder));
  if (missing.length > 0 && missing.length === wanted.length && !existsSync(join(folder, 'node_modules'))) {
    return {
      kind: 'installation',
      what: `the packages of ${folder} are not installed: there is no node_modules`,
      mend: install,
    };
  }
  const differences = install === 'npm ci' ? lockDifferences(lockFolder, environment) : [];
  const named = new Set(differences.map((text) => text.split(' ')[0]));
  const unlocked = missing.filter((name) => !named.has(name)).map((name) => `${name} is not installed`);
  const all = [...differences, ...unlocked];
  if (all.length === 0) return undefined;
  const more = all.length > SHOWN ? ` and ${all.length - SHOWN} more` : '';
  // A package that the lock file does not know is nothing that `npm ci` could install.
  const stale = unlocked.length > 0 && install === 'npm ci';
  return {
    kind: 'installation',
    what: `node_modules of ${lockFolder} is out of step with ${stale ? 'package.json' : lockName(lockFolder)}: ${all.slice(0, SHOWN).join(', ')}${more}`,
    cause: 'Packages were added or changed since the last install, or it did not finish',
    mend: stale ? 'npm install' : install,
  };
}

/** How each package in node_modules differs from npm's lock file, by npm's own record of what it installed. */
function lockDifferences(folder: string, environment: string): string[] {
  const lock = readLock(join(folder, lockName(folder)));
  const have = readLock(join(folder, 'node_modules/.package-lock.json'));
  if (!lock || !have) return [];
  const devInstalled = environment !== 'production' && Object.values(have).some(({ dev }) => dev === true);
  return Object.entries(lock).flatMap(([path, entry]) => {
    if (!path.includes('node_modules/') || entry.link || entry.optional || entry.devOptional || entry.inBundle)
      return [];
    if (entry.dev && !devInstalled) return [];
    const installed = have[path];
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (!installed) return entry.peer ? [] : [`${name} ${entry.version ?? ''} is not installed`.replace('  ', ' ')];
    return installed.version === entry.version
      ? []
      : [`${name} is ${installed.version ?? '?'} instead of ${entry.version ?? '?'}`];
  });
}

function readLock(file: string): Readonly<Record<string, LockedPackage>> | undefined {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as LockFile).packages;
  } catch {
    return undefined; // not there, or broken: npm itself says what is wrong with its file
  }
}

/** The folder of the lock file: the package's own, or that of the workspace to which the package belongs. */
function lockFolderOf(folder: string): string {
  const names = INSTALLERS.map(([name]) => name);
  const found = nearest(folder, names);
  if (found === undefined || found === folder) return folder;
  const member = relative(found, folder);
  const lock = readLock(join(found, lockName(found)));
  return lock === undefined || member in lock ? found : folder;
}

function installCommand(folder: string): string {
  return INSTALLERS.find(([name]) => existsSync(join(folder, name)))?.[1] ?? 'npm install';
}

function lockName(folder: string): string {
  return INSTALLERS.find(([name]) => existsSync(join(folder, name)))?.[0] ?? 'package.json';
}

function isInstalled(name: string, from: string): boolean {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'node_modules', name, 'package.json'))) return true;
    if (folder === dirname(folder)) return false;
  }
}

/** The nearest folder, upward, that holds one of the names. */
function nearest(start: string, names: readonly string[]): string | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    if (names.some((name) => existsSync(join(folder, name)))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}
