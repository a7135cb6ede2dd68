import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';
import type { Failure } from '../model/failure.js';
import { fail, ok, type Result } from '../model/result.js';
import { suggest } from '../util/suggest.js';

const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

/** The application's file: as configured, else with an extension, else the folder's index. Absolute path in and out. */
export function resolveEntry(app: string, root: string): Result<string> {
  const candidates = [
    app,
    ...EXTENSIONS.map((extension) => app + extension),
    ...EXTENSIONS.map((extension) => join(app, `index${extension}`)),
  ];
  const found = candidates.find(isFile);
  return found === undefined ? fail(missing(app, root)) : ok(found);
}

function missing(app: string, root: string): Failure {
  const shown = display(app, root);
  const near = existsSync(dirname(app)) ? suggest(basename(app), readdirSync(dirname(app))) : undefined;
  const built = /(^|\/)(dist|build|lib|out)\//.test(shown);
  return {
    kind: 'entry-missing',
    what: `web.app ${shown} does not exist`,
    ...(built ? { cause: 'It looks like compiled output that has not been built' } : {}),
    mend:
      near !== undefined
        ? `Did you mean ${display(join(dirname(app), near), root)}?`
        : built
          ? 'npm run build, then: memt up'
          : 'Write the file, or point web.app in ecosystem.config.js at the module that exports the application',
  };
}

/** A path as the user would write it: relative when it lies in the project. */
export function display(path: string, root: string): string {
  const short = relative(root, path);
  return short.startsWith('..') ? path : short;
}

export function isTypeScript(file: string): boolean {
  return /^\.[mc]?ts$/.test(extname(file));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
