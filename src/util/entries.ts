import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's root: the nearest folder above this file that holds package.json (from src/ and from dist/src/ alike). */
export const packageRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error(`no package.json above ${start}`);
  }
}

/** The one place that knows which compiled files memt forks or spawns. They point into dist even when this module runs from source. */
export const ENTRIES = {
  web: join(packageRoot, 'dist/services/web/main.js'),
  worker: join(packageRoot, 'dist/services/worker/main.js'),
  keeper: join(packageRoot, 'dist/services/keeper/main.js'),
  mongodbEmbedded: join(packageRoot, 'dist/services/mongodb/embedded/main.js'),
  rabbitmqEmbedded: join(packageRoot, 'dist/services/rabbitmq/embedded/main.js'),
} as const;

/** The sample application that `memt init` copies. */
export const sampleAppDir = join(packageRoot, 'templates/app');

/** memt's own version, from its package.json. */
export function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
