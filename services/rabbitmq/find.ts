import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { executablesIn, isExecutable, searchFolders } from '../../src/host/programs.js';
import type { Failure } from '../../src/model/failure.js';
import type { RabbitmqSettings } from '../../src/model/settings.js';
import type { Binary } from '../../src/ports/engine.js';

const NAME = 'rabbitmq-server';
const USUAL_PLACES = [
  '/usr/lib/rabbitmq/bin',
  '/usr/sbin',
  '/usr/local/sbin',
  '/opt/rabbitmq/sbin',
  '/opt/homebrew/sbin',
  '/opt/homebrew/opt/rabbitmq/sbin',
  '/usr/local/opt/rabbitmq/sbin',
  '/home/linuxbrew/.linuxbrew/sbin',
];

/** The configured server, else the first found; its version is read from its files, because starting Erlang takes a second. */
export function findRabbitmq(settings: RabbitmqSettings, env: NodeJS.ProcessEnv): Binary | Failure | null {
  if (settings.binary !== null) {
    const real = isExecutable(settings.binary) ? realScript(settings.binary) : null;
    if (real !== null) return { path: real, version: versionOf(real) };
    return {
      kind: 'engine-missing',
      unit: 'rabbitmq',
      what: `${settings.binary} ${isExecutable(settings.binary) ? 'is a wrapper without its server' : 'is not a program that can be executed'}`,
      cause: 'rabbitmq.binary names it',
      mend: 'Correct rabbitmq.binary, or remove it so that memt searches by itself',
    };
  }
  for (const file of executablesIn(searchFolders(env, USUAL_PLACES), NAME)) {
    const real = realScript(file);
    if (real !== null) return { path: real, version: versionOf(real) };
  }
  return null;
}

/** Distributions put a wrapper into /usr/sbin that serves only root and rabbitmq, with the system's own data: never that one. */
function realScript(file: string): string | null {
  if (!isWrapper(file)) return file;
  const beside = join(dirname(dirname(file)), 'lib/rabbitmq/bin', NAME);
  return isExecutable(beside) && !isWrapper(beside) ? beside : null;
}

function isWrapper(file: string): boolean {
  try {
    return /only root or rabbitmq|\bsu rabbitmq\b|\brunuser\b/i.test(readFileSync(file, 'utf8').slice(0, 8192));
  } catch {
    return true;
  }
}

function versionOf(script: string): string | null {
  const real = realpathSync(script);
  const fromPath = /rabbitmq_server-(\d+\.\d+\.\d+[^/]*)\//.exec(real)?.[1];
  if (fromPath !== undefined) return fromPath;
  const home = dirname(dirname(real));
  return (
    newest(join(home, 'lib'), /^rabbitmq_server-(\d+\.\d+\.\d+.*)$/) ??
    newest(join(home, 'plugins'), /^rabbit-(\d+\.\d+\.\d+.*?)(?:\.ez)?$/)
  );
}

function newest(folder: string, pattern: RegExp): string | null {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return null; // another layout: the version is known after the start
  }
  const versions = names.flatMap((name) => pattern.exec(name)?.[1] ?? []);
  return versions.sort((a, b) => a.localeCompare(b, undefined, { numeric: true })).at(-1) ?? null;
}
