import { realpathSync } from 'node:fs';
import { executablesIn, isExecutable, searchFolders } from '../../src/host/programs.js';
import type { Failure } from '../../src/model/failure.js';
import type { MongodbSettings } from '../../src/model/settings.js';
import type { Binary } from '../../src/ports/engine.js';

const NAME = 'mongod';
const USUAL_PLACES = [
  '/usr/bin',
  '/usr/local/bin',
  '/usr/sbin',
  '/opt/mongodb/bin',
  '/opt/homebrew/bin',
  '/opt/homebrew/opt/mongodb-community/bin',
  '/usr/local/opt/mongodb-community/bin',
  '/home/linuxbrew/.linuxbrew/bin',
  '/snap/bin',
];

/** The configured mongod, else the first found. Its version is known for sure only from its own answer, after the start. */
export function findMongod(settings: MongodbSettings, env: NodeJS.ProcessEnv): Binary | Failure | null {
  if (settings.binary === null) {
    const [path] = executablesIn(searchFolders(env, USUAL_PLACES), NAME);
    return path === undefined ? null : { path, version: versionOf(path) };
  }
  if (isExecutable(settings.binary)) return { path: settings.binary, version: versionOf(settings.binary) };
  return {
    kind: 'engine-missing',
    unit: 'mongodb',
    what: `${settings.binary} is not a program that can be executed`,
    cause: 'mongodb.binary names it',
    mend: 'Correct mongodb.binary, or remove it so that memt searches by itself',
  };
}

/** Tarballs and Homebrew carry the version in their folder's name. */
function versionOf(path: string): string | null {
  return /(?:mongodb[^/]*-|\/)(\d+\.\d+\.\d+)(?:[-_][^/]*)?\/(?:.*\/)?mongod$/.exec(realpathSync(path))?.[1] ?? null;
}
