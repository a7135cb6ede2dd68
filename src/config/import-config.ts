import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Failure } from '../model/failure.js';
import { fail, ok, type Result } from '../model/result.js';
import { DeadlineError, withDeadline } from '../util/deadline.js';
import { asError, codeOf } from '../util/errors.js';
import { nodeStripsTypes, tsxOf, type ConfigLocation } from './find.js';
import { awaitsAtTop } from './top-level-await.js';

export interface ImportedConfig {
  /** What the file exports as `memt`, not looked at yet. */
  readonly memt: unknown;
  readonly warnings: readonly string[];
}

/** A config is a few lines; one that takes longer waits for something that does not come. */
const IMPORT_LIMIT_MS = 20_000;

/** Executes the config file and takes its `memt` export. */
export async function importConfig({ root, file }: ConfigLocation): Promise<Result<ImportedConfig>> {
  let namespace: Readonly<Record<string, unknown>>;
  try {
    namespace = await withDeadline(importModule(root, file), IMPORT_LIMIT_MS, `import of ${file}`);
  } catch (error) {
    return fail(importFailure(error, root, file));
  }
  const source = readFileSync(file, 'utf8');
  const inner = namespace['default'];
  const holder = typeof inner === 'object' && inner !== null ? (inner as Readonly<Record<string, unknown>>) : {};
  const memt = namespace['memt'] ?? holder['memt'];
  if (memt === undefined) return fail(exportFailure(namespace, holder, file));
  const nested = typeof memt === 'object' && memt !== null && 'apps' in memt && 'memt' in memt;
  const warnings = [
    ...(namespace['memt'] === undefined && /^\s*export\s+default\b/m.test(source)
      ? [`${basename(file)}: PM2 needs named exports; write: export const { apps, memt } = defineStack({ … })`]
      : []),
    ...(awaitsAtTop(source)
      ? [`${basename(file)}: top-level await works with memt, but PM2 cannot load the file then (it uses require)`]
      : []),
  ];
  return ok({ memt: nested ? memt.memt : memt, warnings });
}

async function importModule(root: string, file: string): Promise<Readonly<Record<string, unknown>>> {
  const restore = sendPrintsToStderr();
  const unregister = /\.[mc]?ts$/.test(file) && !nodeStripsTypes() ? await registerTsx(root) : undefined;
  try {
    return (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  } finally {
    restore();
    await unregister?.();
  }
}

/** What a config prints (dotenv greets) must not get into the output of `--json`. */
function sendPrintsToStderr(): () => void {
  const own = Object.getOwnPropertyDescriptor(process.stdout, 'write');
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return () => {
    if (own) Object.defineProperty(process.stdout, 'write', own);
    else Reflect.deleteProperty(process.stdout, 'write');
  };
}

async function registerTsx(root: string): Promise<() => Promise<void>> {
  const path = tsxOf(root);
  if (path === undefined) throw new Error(`tsx is not installed in ${root}`);
  const { register } = (await import(pathToFileURL(path).href)) as { readonly register: () => () => Promise<void> };
  return register();
}

function exportFailure(namespace: object, holder: object, file: string): Failure {
  const name = basename(file);
  const hasApps = 'apps' in namespace || 'apps' in holder;
  const mend = `In ${name}: import { defineStack } from 'memt/config'; export const { apps, memt } = defineStack({ … }) (in a CommonJS file: module.exports = defineStack({ … })). An example: npx memt init`;
  return {
    kind: 'config-invalid',
    what: hasApps ? `${file} has PM2's apps, but exports no memt` : `${file} exports no memt`,
    cause: hasApps
      ? 'It is a plain PM2 config; memt needs to know the whole stack'
      : 'The file is empty, or what it defines is not exported',
    mend,
  };
}

function importFailure(error: unknown, root: string, file: string): Failure {
  if (error instanceof DeadlineError) {
    return {
      kind: 'config-unreadable',
      what: `${file} did not finish loading within ${error.ms / 1000} s`,
      cause: 'A top-level await that never ends',
      mend: 'Configs hold plain values; read what takes time in the application',
    };
  }
  const thrown = asError(error);
  const place = placeOf(thrown.stack ?? '', file) ?? (thrown instanceof SyntaxError ? syntaxPlace(file) : undefined);
  const where = place ? `${file}:${place.line}${place.column === null ? '' : `:${place.column}`}` : file;
  const evidence = place ? excerpt(file, place.line) : [];
  return {
    kind: 'config-unreadable',
    what: `${where} cannot be loaded: ${thrown.name}: ${firstLine(thrown.message)}`,
    ...causeAndMend(error, thrown, root, file),
    ...(evidence.length > 0 ? { evidence } : {}),
  };
}

function causeAndMend(error: unknown, thrown: Error, root: string, file: string): Pick<Failure, 'cause' | 'mend'> {
  const code = codeOf(error);
  if (code === 'EACCES') return { mend: `chmod u+r ${file}` };
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND')
    return { mend: `Correct ${basename(file)}, then: memt config check` };
  const missing = /Cannot find (?:package|module) '([^']+)'/.exec(thrown.message)?.[1];
  if (missing === undefined || /^[./]/.test(missing)) return { mend: 'Correct the path of the import' };
  const name = missing
    .split('/')
    .slice(0, missing.startsWith('@') ? 2 : 1)
    .join('/');
  const listed = dependenciesOf(root).includes(name);
  return listed
    ? { cause: `${name} is listed in package.json, but not installed in ${root}`, mend: 'npm ci (or npm install)' }
    : {
        cause: `${name} is not among the project's dependencies`,
        mend: `npm install ${name === 'memt' ? '--save-dev memt' : name}`,
      };
}

function dependenciesOf(root: string): string[] {
  try {
    const manifest = createRequire(join(root, 'package.json'))('./package.json') as Readonly<
      Record<string, object | undefined>
    >;
    return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
      Object.keys(manifest[kind] ?? {}),
    );
  } catch {
    return []; // no package.json
  }
}

interface Place {
  readonly line: number;
  readonly column: number | null;
}

/** The line in the config itself: a syntax error's stack begins with it, another error has it among its frames. */
function placeOf(text: string, file: string): Place | undefined {
  // Both spellings are looked for as they are: a path may hold blanks and brackets, which end a path for any pattern.
  for (const name of [pathToFileURL(file).href, file]) {
    const at = text.indexOf(`${name}:`);
    const [, line, column] = at < 0 ? [] : (/^:(\d+)(?::(\d+))?/.exec(text.slice(at + name.length)) ?? []);
    if (line !== undefined) return { line: Number(line), column: column === undefined ? null : Number(column) };
  }
  return undefined;
}

/** Node keeps the place of an ES module's syntax error to itself, but prints it: a second look by `node --check`. */
function syntaxPlace(file: string): Place | undefined {
  const { stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8', timeout: 5_000 });
  return placeOf(stderr, file);
}

/** The line with its neighbours, numbered, the line itself marked. */
function excerpt(file: string, line: number): string[] {
  const lines = readFileSync(file, 'utf8').split(/\r?\n/);
  return lines
    .map((text, index) => ({ text: text.slice(0, 120), number: index + 1 }))
    .filter(({ number }) => Math.abs(number - line) <= 1)
    .map(
      ({ text, number }) =>
        `${number === line ? '>' : ' '} ${String(number).padStart(String(line + 1).length)} | ${text}`,
    );
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
