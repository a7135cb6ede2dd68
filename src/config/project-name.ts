import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Databases that MongoDB keeps for itself. */
const RESERVED = new Set(['admin', 'local', 'config']);

/** Safe as a database, a vhost, a PM2 name and a file name: at most 48 of `a-z 0-9 - _`, beginning with a letter or digit. */
export function sanitizeProjectName(name: string): string {
  const safe = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[-_]+/, '')
    .slice(0, 48)
    .replace(/[-_]+$/, '');
  if (safe === '') return 'memt-project';
  return RESERVED.has(safe) ? `${safe}-project` : safe;
}

/** The project's name when the config gives none: package.json's, else the folder's. */
export function defaultProjectName(root: string): { readonly name: string; readonly origin: string } {
  try {
    const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly name?: unknown };
    if (typeof name === 'string' && name.trim() !== '')
      return { name: sanitizeProjectName(name), origin: 'package.json' };
  } catch {
    // no package.json, or one that npm will complain about: the folder names the project
  }
  return { name: sanitizeProjectName(basename(root)), origin: 'folder name' };
}
