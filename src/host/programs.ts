import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** Replaces every place where engines are searched, PATH included: a list of folders; empty = nothing is found. */
export const ENGINE_PATH_VARIABLE = 'MEMT_ENGINE_PATH';

/** The folders in which an engine is searched: PATH first, then the places where packages put servers that users seldom have in PATH. */
export function searchFolders(env: NodeJS.ProcessEnv, usualPlaces: readonly string[]): string[] {
  const replaced = env[ENGINE_PATH_VARIABLE];
  const list = replaced ?? env['PATH'] ?? '';
  const folders = list.split(delimiter).filter(isAbsolute);
  return [...new Set(replaced === undefined ? [...folders, ...usualPlaces] : folders)];
}

/** Every file called `name` in these folders that we may execute, in order. */
export function executablesIn(folders: readonly string[], name: string): string[] {
  return folders.map((folder) => join(folder, name)).filter(isExecutable);
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
