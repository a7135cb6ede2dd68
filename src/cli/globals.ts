import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { findConfig } from '../config/find.js';
import { FailureError } from '../model/failure.js';
import { layoutOf, type Layout } from '../util/layout.js';
import { asError } from '../util/errors.js';

/** Options that every verb takes. */
export interface GlobalOptions {
  /** `-C DIR`: run as if started there. */
  readonly dir?: string;
  readonly config?: string;
  readonly env?: string;
  readonly json?: boolean;
  /** false with `--no-color`. */
  readonly color?: boolean;
}

export interface Project {
  readonly root: string;
  readonly file: string;
  readonly layout: Layout;
}

/** The folder that the command was told to run in. @throws FailureError usage when it does not exist */
export function startDirectory(options: GlobalOptions): string {
  const directory = resolve(options.dir ?? process.cwd());
  try {
    return realpathSync(directory);
  } catch (error) {
    throw new FailureError({
      kind: 'usage',
      what: `-C ${directory}: ${asError(error).message}`,
      mend: 'Name an existing folder of the project',
    });
  }
}

/** The project around the current folder; runs nothing of the config. @throws FailureError config-missing */
export function findProject(options: GlobalOptions): Project {
  const found = findConfig(startDirectory(options), options.config);
  if (!found.ok) throw new FailureError(found.failure);
  const root = realpathSync(found.value.root);
  return { root, file: found.value.file, layout: layoutOf(root) };
}
