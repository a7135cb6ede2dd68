import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { sanitizeProjectName } from '../config/project-name.js';
import { EXIT, type ExitCode } from '../model/exit.js';
import { FailureError } from '../model/failure.js';
import { packageRoot, packageVersion, sampleAppDir } from '../util/entries.js';
import { asError } from '../util/errors.js';
import { startDirectory } from './globals.js';
import type { InitVerbOptions } from './init.js';
import { installedFrom } from './installed-from.js';

type Action = 'create' | 'overwrite' | 'append' | 'same' | 'exists';
interface PlannedFile {
  /** Relative to the project. */
  readonly path: string;
  readonly content: string | Buffer;
  readonly action: Action;
}

const IGNORED = ['node_modules/', '.memt/', '.env'];

/**
 * Writes the sample project. All or nothing: files of ours that are there with another content stop it before the first write.
 * @throws FailureError usage (files exist), project-unwritable, installation
 */
export function init(dir: string, options: InitVerbOptions): ExitCode {
  const root = resolve(startDirectory(options), dir);
  const plan = planFiles(root, options.force === true);
  const blocked = plan.filter(({ action }) => action === 'exists').map(({ path }) => path);
  if (blocked.length > 0) {
    throw new FailureError({
      kind: 'usage',
      what: `${root} has ${blocked.length === 1 ? 'a file' : `${blocked.length} files`} of the sample already; nothing was written`,
      mend: 'Take another folder (memt init DIR), or overwrite them with --force',
      evidence: blocked,
    });
  }
  for (const file of plan) write(root, file);
  const next = nextSteps(root, plan);
  const of = (action: Action): string[] => plan.filter((file) => file.action === action).map(({ path }) => path);
  if (options.json) {
    const result = {
      schema: 1,
      root,
      created: of('create'),
      overwritten: of('overwrite'),
      appended: of('append'),
      unchanged: of('same'),
      next,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  } else {
    const words: Readonly<Record<Action, string>> = {
      create: 'new',
      overwrite: 'overwritten',
      append: 'added to',
      same: 'unchanged',
      exists: 'kept',
    };
    const lines = plan.map(({ path, action }) => `  ${words[action].padEnd(12)}${path}`);
    process.stdout.write([`Sample project in ${root}`, ...lines, `Next: ${next.join(' && ')}`, ''].join('\n'));
  }
  return EXIT.ok;
}

function planFiles(root: string, force: boolean): PlannedFile[] {
  if (!existsSync(sampleAppDir)) {
    throw new FailureError({
      kind: 'installation',
      what: `the sample application is missing: ${sampleAppDir}`,
      mend: 'Install memt again: npm install memt',
    });
  }
  const manifest = readManifest(root);
  const esm = manifest === undefined || manifest['type'] === 'module';
  const config = existingConfig(root);
  const planned = (path: string, content: string | Buffer): PlannedFile => ({
    path,
    content,
    action: actionFor(join(root, path), content, force),
  });
  return [
    planned(
      config ?? 'ecosystem.config.js',
      configText(config === undefined ? esm : !config.endsWith('.cjs') && (config.endsWith('.mjs') || esm)),
    ),
    ...sampleFiles().map((name) => planned(join('app', name), readFileSync(join(sampleAppDir, name)))),
    // The sample is written as ES modules; a CommonJS project needs this to say so for its folder.
    ...(esm ? [] : [planned('app/package.json', '{ "type": "module" }\n')]),
    ...(manifest === undefined ? [planned('package.json', manifestText(root))] : []),
    ignorePlan(root),
  ];
}

function sampleFiles(): string[] {
  return readdirSync(sampleAppDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(sampleAppDir, join(entry.parentPath, entry.name)))
    .filter((name) => name !== 'package.json' && !/\.test\.[jt]s$/.test(name))
    .sort();
}

function existingConfig(root: string): string | undefined {
  return ['ecosystem.config.js', 'ecosystem.config.mjs', 'ecosystem.config.cjs', 'ecosystem.config.ts'].find((name) =>
    existsSync(join(root, name)),
  );
}

function actionFor(file: string, content: string | Buffer, force: boolean): Action {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (!stat) return 'create';
  if (stat.isFile() && readFileSync(file).equals(Buffer.from(content))) return 'same';
  return force && !stat.isDirectory() ? 'overwrite' : 'exists';
}

function configText(esm: boolean): string {
  const [head, tail] = esm
    ? ["import { defineStack } from 'memt/config';\n\nexport const { apps, memt } = defineStack({", '});']
    : ["const { defineStack } = require('memt/config');\n\nmodule.exports = defineStack({", '});'];
  return `// @ts-check
${head}
  web: { app: './app/server.js' }, // 2N+1 instances on 127.0.0.1:5000
  worker: { tasks: './app/tasks.js' }, // N processes, 10 tasks at once in each
  mongodb: {}, // mongod when it is installed, else the embedded engine; or { uri: 'mongodb://…' }
  rabbitmq: {}, // rabbitmq-server when it is installed, else the embedded engine; or { url: 'amqp://…' }
  environments: {
    development: { web: { workers: 1 } },
    production: { web: { port: 8000 } },
  },
${tail}
`;
}

function manifestText(root: string): string {
  const manifest = {
    name: sanitizeProjectName(basename(root)),
    private: true,
    type: 'module',
    engines: { node: '>=20.19' },
    dependencies: { memt: memtSource(root) },
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** What package.json says to get the memt that runs now. A checkout or tarball has no version that a registry would know. */
function memtSource(root: string): string {
  if (!packageRoot.split('/').includes('node_modules')) return `file:${packageRoot}`;
  return installedFrom(packageRoot, root) ?? `^${packageVersion()}`;
}

function readManifest(root: string): Readonly<Record<string, unknown>> | undefined {
  const file = join(root, 'package.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (!existsSync(file)) return undefined;
    throw new FailureError({
      kind: 'installation',
      what: `${file} cannot be read: ${asError(error).message}`,
      mend: 'Correct package.json, then again',
    });
  }
}

function ignorePlan(root: string): PlannedFile {
  const file = join(root, '.gitignore');
  const have = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  const lines = new Set((have ?? '').split(/\r?\n/).map((line) => line.trim().replace(/^\//, '').replace(/\/$/, '')));
  const missing = IGNORED.filter((entry) => !lines.has(entry.replace(/\/$/, '')));
  const gap = have === undefined || have === '' || have.endsWith('\n') ? '' : '\n';
  const action = have === undefined ? 'create' : missing.length === 0 ? 'same' : 'append';
  return { path: '.gitignore', content: `${have ?? ''}${gap}${missing.map((entry) => `${entry}\n`).join('')}`, action };
}

function write(root: string, { path, content, action }: PlannedFile): void {
  if (action === 'same') return;
  const file = join(root, path);
  try {
    mkdirSync(dirname(file), { recursive: true });
    // A link in its place is replaced, never followed out of the project.
    if (action === 'overwrite') rmSync(file);
    writeFileSync(file, content);
  } catch (error) {
    throw new FailureError({
      kind: 'project-unwritable',
      what: `cannot write ${file}: ${asError(error).message}`,
      mend: 'Take a folder that you may write to: memt init DIR',
    });
  }
}

function nextSteps(root: string, plan: readonly PlannedFile[]): string[] {
  const here = relative(process.cwd(), root);
  const enter = here === '' ? [] : [`cd ${/^[\w./-]+$/.test(here) ? here : `'${here.replaceAll("'", "'\\''")}'`}`];
  if (resolvesMemt(root)) return [...enter, 'npx memt up'];
  const listed = plan.some(({ path }) => path === 'package.json') || dependsOnMemt(root);
  return [...enter, listed ? 'npm install' : `npm install ${installSource(root)}`, 'npx memt up'];
}

function installSource(root: string): string {
  const source = memtSource(root).replace(/^file:/, '');
  return source.startsWith('^') ? 'memt' : source;
}

function dependsOnMemt(root: string): boolean {
  const manifest = readManifest(root) ?? {};
  return ['dependencies', 'devDependencies'].some((kind) => Object.hasOwn(Object(manifest[kind]) as object, 'memt'));
}

function resolvesMemt(root: string): boolean {
  try {
    createRequire(join(root, 'package.json')).resolve('memt/config');
    return true;
  } catch {
    return false; // not installed yet
  }
}
