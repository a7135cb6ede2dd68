import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { display } from '../../src/http/entry.js';
import { loadError } from '../../src/http/load-error.js';
import type { Failure } from '../../src/model/failure.js';
import { fail, ok, type Result } from '../../src/model/result.js';
import type { WorkerSettings } from '../../src/model/settings.js';
import { APP_MARK, TASK_MARK, type App } from '../../src/tasks/app.js';
import { suggest } from '../../src/util/suggest.js';

/** Imports the tasks module and finds the one application in its exports: made by `createApp`, or behind an exported task. */
export async function loadTasks(
  settings: Pick<WorkerSettings, 'tasks' | 'exportName' | 'name'>,
  root: string,
): Promise<Result<App>> {
  const { tasks: file, exportName, name } = settings;
  const shown = display(file, root);
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return fail(missing(file, shown, name, root));
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    return fail({ ...(await loadError(error, file, root)), unit: name });
  }
  const wrong = (what: string): Result<App> =>
    fail({
      kind: 'entry-shape',
      unit: name,
      what: `${shown} ${what}`,
      mend: "export const app = createApp() with import { createApp } from 'memt', and define tasks with app.task(...)",
    });
  if (exportName !== null && !(exportName in module)) return wrong(`has no export ${exportName}`);
  const values = exportName === null ? candidates(module) : [module[exportName]];
  const apps = new Set(values.map(appOf).filter((app) => app !== null));
  const [app] = apps;
  if (app === undefined) return wrong('exports no application and no task');
  if (apps.size > 1) return wrong(`exports ${apps.size} applications: name one with file:export`);
  return app.tasks.length === 0 ? wrong('defines no task') : ok(app);
}

/** A CommonJS module has its exports once more below `default`. */
function candidates(module: Record<string, unknown>): unknown[] {
  const inner = module['default'];
  return [
    ...Object.values(module),
    ...(typeof inner === 'object' && inner !== null ? (Object.values(inner) as unknown[]) : []),
  ];
}

/** By mark, not by class: the project's copy of memt may be another than ours. */
function appOf(value: unknown): App | null {
  if (typeof value !== 'object' || value === null) return null;
  if (APP_MARK in value) return value as unknown as App;
  return TASK_MARK in value ? (value[TASK_MARK] as App) : null;
}

function missing(file: string, shown: string, name: string, root: string): Failure {
  const near = existsSync(dirname(file)) ? suggest(basename(file), readdirSync(dirname(file))) : undefined;
  return {
    kind: 'entry-missing',
    unit: name,
    what: `${name}.tasks ${shown} does not exist`,
    mend:
      near === undefined
        ? `Write the file, or point ${name}.tasks in ecosystem.config.js at the module that defines the tasks`
        : `Did you mean ${display(file.slice(0, -basename(file).length) + near, root)}?`,
  };
}
