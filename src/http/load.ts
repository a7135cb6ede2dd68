import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { Failure } from '../model/failure.js';
import { fail, ok, type Result } from '../model/result.js';
import type { WebSettings } from '../model/settings.js';
import { codeOf } from '../util/errors.js';
import { ACCEPTED, chooseExport, describe, isThenable, recognise, type Application } from './application.js';
import { display, isTypeScript, resolveEntry } from './entry.js';
import { loadError } from './load-error.js';

export interface LoadOptions {
  readonly settings: Pick<WebSettings, 'app' | 'exportName'>;
  readonly root: string;
  /** Told what is done next, for the message when it never ends. */
  readonly onStep: (text: string) => void;
  /** A server that the module started to listen by itself at its import, if any. */
  readonly listening: () => Application | undefined;
}

/** Imports the application's module and finds the application in it. */
export async function loadApplication(options: LoadOptions): Promise<Result<Application>> {
  const { settings, root, onStep } = options;
  const entry = resolveEntry(settings.app, root);
  if (!entry.ok) return entry;
  const file = entry.value;
  const shown = display(file, root);
  try {
    onStep(`importing ${shown}`);
    const unready = isTypeScript(file) ? await prepareTypeScript(file, shown) : null;
    if (unready) return fail(unready);
    const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
    const choice = chooseExport(module, settings.exportName);
    if (isThenable(choice.found && choice.value)) onStep(`waiting for the promise that ${shown} exports`);
    const application = choice.found ? recognise(await choice.value) : undefined;
    const own = options.listening();
    // A module that listens by itself has said which server it wants to be served by.
    if (own) return ok(own);
    if (application) return ok(application);
    return fail(
      shapeFailure(
        shown,
        settings.exportName,
        choice.found ? [`${choice.name} (${describe(await choice.value)})`] : choice.exports,
      ),
    );
  } catch (error) {
    return fail(await loadError(error, file, root));
  }
}

function shapeFailure(shown: string, exportName: string | null, exports: readonly string[]): Failure {
  const has = exports.length === 0 ? 'exports nothing' : `exports ${exports.join(', ')}`;
  return {
    kind: 'entry-shape',
    what:
      exportName === null
        ? `${shown} exports no application: it ${has}`
        : `${shown} has no application under the name ${exportName}: it ${has}`,
    cause: `Accepted is ${ACCEPTED}`,
    mend: "Export it as default or as app, or name the export: web.app: './file.js:name'",
  };
}

/**
 * The project's own tsx where it is installed: it also finds `./x.ts` behind `./x.js`, as TypeScript writes imports. Otherwise newer
 * Nodes strip types themselves.
 */
async function prepareTypeScript(file: string, shown: string): Promise<Failure | null> {
  const load = createRequire(file);
  try {
    // Both hooks: an entry may import CommonJS as well as ES modules. Their CommonJS build cannot register the ES one.
    const esm = pathToFileURL(load.resolve('tsx/esm/api').replace(/\.cjs$/, '.mjs'));
    ((await import(esm.href)) as { register(): unknown }).register();
    (load('tsx/cjs/api') as { register(): unknown }).register();
    return null;
  } catch (error) {
    if (!isMissing(error)) throw error;
    if ((process.features as { typescript?: unknown }).typescript) return null;
    return {
      kind: 'installation',
      what: `${shown} is TypeScript, which Node ${process.versions.node} cannot run by itself`,
      mend: 'npm install --save-dev tsx; or use Node 22.18 or newer; or point web.app at the compiled file',
    };
  }
}

function isMissing(error: unknown): boolean {
  return ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED'].includes(codeOf(error) ?? '');
}
