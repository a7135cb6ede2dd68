import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/**
 * How a package under node_modules was installed, when not by its version: `file:<path relative to project>` or a git URL.
 * Null for one of a registry, and when npm's record does not say.
 */
export function installedFrom(packageFolder: string, project: string): string | null {
  const modules = dirname(packageFolder);
  try {
    const text = readFileSync(join(modules, '.package-lock.json'), 'utf8');
    const { packages } = JSON.parse(text) as { packages?: Record<string, { resolved?: unknown } | undefined> };
    const source = packages?.[`node_modules/${relative(modules, packageFolder)}`]?.resolved;
    if (typeof source !== 'string') return null;
    if (source.startsWith('git+')) return source;
    if (!source.startsWith('file:')) return null;
    return `file:${relative(project, resolve(dirname(modules), source.slice('file:'.length)))}`;
  } catch {
    return null; // another installer, which keeps no such record
  }
}
