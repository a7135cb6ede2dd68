import { suggest } from '../util/suggest.js';
import { ENVIRONMENTS } from './settings-table.js';

export interface ChosenEnvironment {
  readonly name: string;
  /** Where the choice came from: `flag --env`, `environment variable NODE_ENV`, `.env`, `default`. */
  readonly origin: string;
}

/** What may name the environment, strongest first. */
export interface EnvironmentSources {
  readonly flag: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The plain `.env` file's variables. */
  readonly envFile: Readonly<Record<string, string>>;
  /** Names that the config adds under `environments`. */
  readonly configured: readonly string[];
}

/**
 * `--env NAME`, else MEMT_ENV, else NODE_ENV when it names an environment (`test` does not), else `local`; variables of the
 * shell are stronger than the same one in `.env`.
 */
export function chooseEnvironment(sources: EnvironmentSources): ChosenEnvironment | { readonly problem: string } {
  const known = [...new Set([...ENVIRONMENTS, ...sources.configured])];
  const asked = [
    { name: sources.flag, origin: 'flag --env', strict: true },
    { name: sources.env['MEMT_ENV'], origin: 'environment variable MEMT_ENV', strict: true },
    { name: sources.envFile['MEMT_ENV'], origin: '.env', strict: true },
    { name: sources.env['NODE_ENV'], origin: 'environment variable NODE_ENV', strict: false },
    { name: sources.envFile['NODE_ENV'], origin: '.env', strict: false },
  ];
  for (const { name, origin, strict } of asked) {
    if (name === undefined || name === '') continue;
    if (known.includes(name)) return { name, origin };
    if (!strict) continue;
    const near = suggest(name, known);
    return {
      problem: `${origin}: no environment '${name}'${near === undefined ? '' : `; did you mean ${near}?`} (there are ${known.join(', ')})`,
    };
  }
  return { name: 'local', origin: 'default' };
}
