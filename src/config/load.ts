import { basename, join } from 'node:path';
import { readCpuFacts } from '../host/cgroup.js';
import type { Failure } from '../model/failure.js';
import { fail, ok, type Result } from '../model/result.js';
import type { Settings } from '../model/settings.js';
import { suggest } from '../util/suggest.js';
import { assemble } from './assemble.js';
import { cpuCount } from './cpus.js';
import { readEnvFile } from './env-file.js';
import { chooseEnvironment } from './environment.js';
import { findConfig, type ConfigLocation } from './find.js';
import { importConfig } from './import-config.js';
import { processEnvironment } from './process-environment.js';
import { SETTINGS, settingOf, variableOf } from './settings-table.js';
import { isPlainObject, shapeProblems, type Problem } from './shape.js';
import { crossProblems, entryProblems, exposures } from './validate.js';
import type { Sources } from './layers.js';

export interface LoadOptions {
  /** Where the search for the config begins. */
  readonly cwd: string;
  /** `--config`: a file, or a folder with a config in it. */
  readonly file?: string;
  /** `--env`. */
  readonly environment?: string;
  /** Commander's options of the verb; those that are no settings are not looked at. `set` holds `key=value` texts. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly allowEmbedded?: boolean;
}

/**
 * Finds, executes and checks the config, and resolves every setting: config file < .env < .env.<environment> < environment < flags.
 * Fails with `config-missing`, `config-unreadable`, `entry-missing` (only modules are missing) or `config-invalid`, whose evidence
 * holds every problem, one a line.
 */
export async function loadSettings(options: LoadOptions): Promise<Result<Settings>> {
  const found = findConfig(options.cwd, options.file);
  if (!found.ok) return found;
  const imported = await importConfig(found.value);
  if (!imported.ok) return imported;
  return resolveSettings(imported.value.memt, found.value, options, imported.value.warnings);
}

/** The part of `loadSettings` after the import: what the config says, checked and resolved. */
export function resolveSettings(
  memt: unknown,
  location: ConfigLocation,
  options: LoadOptions,
  warnings: readonly string[] = [],
): Result<Settings> {
  const { root, file } = location;
  const fileName = basename(file);
  const config = isPlainObject(memt) ? memt : {};
  const overlays = isPlainObject(config['environments']) ? config['environments'] : {};
  const plain = readEnvFile(join(root, '.env'));
  const chosen = chooseEnvironment({
    flag: options.environment,
    env: options.env,
    envFile: plain.variables,
    configured: Object.keys(overlays),
  });
  const { name: environment, origin: chosenBy } = 'problem' in chosen ? { name: 'local', origin: 'default' } : chosen;
  const special = readEnvFile(join(root, `.env.${environment}`));
  const overlay = overlays[environment];
  const sources: Sources = {
    fileName,
    root,
    environment,
    config,
    overlay: isPlainObject(overlay) ? overlay : {},
    envFiles: [
      { name: `.env.${environment}`, variables: special.variables },
      { name: '.env', variables: plain.variables },
    ],
    env: options.env,
    flags: options.allowEmbedded === true ? { ...options.flags, allowEmbedded: true } : options.flags,
  };
  const assembled = assemble(sources, cpuCount(readCpuFacts()));
  const missing = entryProblems(assembled);
  const shape = shapeProblems(memt, root);
  const lines = [
    ...shape.map(inFile(fileName)),
    ...('problem' in chosen ? [chosen.problem] : []),
    ...plain.problems,
    ...special.problems,
    ...setProblems(options.flags),
    ...assembled.problems.map(({ key, text }) => `${key}: ${text}`),
    // Values that are wrong one by one give defaults here, so that what meets them is still found.
    ...crossProblems(assembled.settings).map(inFile(fileName)),
  ];
  const problems = [...new Set([...lines, ...missing.map(({ key, text }) => `${key}: ${text}`)])];
  if (problems.length > 0) return fail(invalid(file, problems, lines.length === 0 ? missing[0]?.unit : undefined));
  const notes = [
    ...warnings,
    ...overlayNames(Object.keys(overlays), fileName),
    ...unknownVariables(options.env),
    ...(environment === 'production' ? [] : exposures(assembled.settings).map(inFile(fileName))),
  ];
  const { origins, ...settings } = assembled.settings;
  return ok({
    ...settings,
    configFile: file,
    env: processEnvironment(environment, plain.variables, special.variables, options.env),
    origins: { environment: chosenBy, ...origins },
    warnings: notes,
  });
}

function inFile(fileName: string): (problem: Problem) => string {
  return ({ key, text }) => `${fileName}: ${key === '' ? '' : `${key}: `}${text}`;
}

function invalid(file: string, problems: readonly string[], unit: string | undefined): Failure {
  return {
    kind: unit === undefined ? 'config-invalid' : 'entry-missing',
    ...(unit === undefined ? {} : { unit }),
    what: `${file} cannot be used: ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
    mend: 'Correct what is listed, then: memt config check',
    evidence: problems,
  };
}

/** `--set web.prot=1`. */
function setProblems(flags: Readonly<Record<string, unknown>>): string[] {
  const texts = Array.isArray(flags['set']) ? flags['set'].filter((text) => typeof text === 'string') : [];
  return texts.flatMap((text) => {
    const key = text.slice(0, Math.max(0, text.indexOf('=')));
    if (key === '') return [`flag --set ${text}: expected key=value, such as web.port=5001`];
    if (settingOf(key)) return [];
    const near = suggest(
      key,
      SETTINGS.map((setting) => setting.key),
    );
    return [`flag --set: ${key}: unknown key${near === undefined ? '' : `; did you mean ${near}?`}`];
  });
}

/** An overlay that is spelt almost like a built-in environment would never be used. */
function overlayNames(names: readonly string[], fileName: string): string[] {
  const known = ['local', 'development', 'production'];
  return names.flatMap((name) => {
    const near = known.includes(name) ? undefined : suggest(name, known);
    return near === undefined
      ? []
      : [`${fileName}: environments.${name} is an environment of its own; did you mean ${near}?`];
  });
}

/** MEMT_ variables that memt itself reads and that are no settings. */
const OWN_VARIABLES = new Set([
  'MEMT_ENV',
  'MEMT_CONFIG',
  'MEMT_UNIT',
  'MEMT_LAUNCH',
  'MEMT_INSTANCE',
  'MEMT_RUN_DIR',
  'MEMT_ENGINE_PATH',
]);

function unknownVariables(env: LoadOptions['env']): string[] {
  const known = SETTINGS.map(({ key }) => variableOf(key));
  return Object.keys(env)
    .filter(
      (name) =>
        /^MEMT_/.test(name) &&
        !known.includes(name) &&
        !OWN_VARIABLES.has(name) &&
        !/^MEMT_(WORKERS|TEST|INTERNAL)_/.test(name),
    )
    .flatMap((name) => {
      const near = suggest(name, known);
      return near === undefined
        ? []
        : [`environment variable ${name} is not one that memt reads; did you mean ${near}?`];
    });
}
