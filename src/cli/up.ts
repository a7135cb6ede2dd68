import { Option, type Command } from 'commander';
import { SETTINGS } from '../config/settings-table.js';
import type { GlobalOptions } from './globals.js';

export interface UpVerbOptions extends GlobalOptions {
  readonly dryRun?: boolean;
  readonly foreground?: boolean;
  readonly sequential?: boolean;
  readonly allowEmbedded?: boolean;
  /** Every other flag of the settings table, under commander's name for it. */
  readonly [flag: string]: unknown;
}

export function addUp(program: Command): void {
  const command = program
    .command('up')
    .argument('[unit...]', 'units to bring up, with what they need; default: all')
    .summary('start what is missing, prove every instance healthy')
    .description(
      'Plan, check, start the engines in order, wait until they are healthy, fork workers and web through PM2, prove every instance.\nAgain: starts only what is missing or changed.',
    )
    .option('--env <name>', 'environment: local, development, production or one of the config')
    .option('--dry-run', 'print the plan with its reasons and change nothing')
    .option('--foreground', 'stay attached: stream the logs, Ctrl-C = ordered down')
    .option('--sequential', 'start each unit only after the one before it is healthy')
    .option('--set <key=value...>', 'any setting of the config, such as web.port=5001')
    .addOption(new Option('--json', 'events as one JSON object a line'))
    .addHelpText(
      'after',
      '\nExamples:\n  memt up\n  memt up web                 web and the engines it needs\n  memt up --env production\n  memt up --dry-run           what would happen, and why',
    )
    .action(async (units: string[], _options: unknown, command: Command) => {
      const { up } = await import('./up-run.js');
      process.exitCode = await up(units, command.optsWithGlobals<UpVerbOptions>());
    });
  for (const option of settingFlags()) command.addOption(option);
}

/** The settings that have a flag of their own; one flag may set two. */
function settingFlags(): Option[] {
  const byFlag = new Map<string, string[]>();
  for (const { flag, describe } of SETTINGS)
    if (flag !== undefined) byFlag.set(flag, [...(byFlag.get(flag) ?? []), describe]);
  return [...byFlag].map(([flag, texts]) => new Option(flag, texts.join('; ')).helpGroup('Settings:'));
}
