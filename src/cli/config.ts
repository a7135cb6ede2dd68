import type { Command } from 'commander';
import type { GlobalOptions } from './globals.js';

export interface ConfigVerbOptions extends GlobalOptions {
  /** `key=value` texts. */
  readonly set?: readonly string[];
}

export function addConfig(program: Command): void {
  const config = program
    .command('config')
    .summary('check the config; print every setting with its origin')
    .description('Look at the config without starting anything.')
    .addHelpText('after', '\nExamples:\n  memt config check\n  memt config print --env production');
  const verbs = [
    ['check', 'every problem of the config at once; exit code 78 when there is one'],
    ['print', 'every setting: value and where it came from; secrets are hidden'],
  ] as const;
  for (const [name, description] of verbs) {
    config
      .command(name)
      .description(description)
      .option('--env <name>', 'environment: local, development, production or one of the config')
      .option('--set <key=value...>', 'any setting of the config, such as web.port=5001')
      .option('--json', 'the result as one JSON object')
      .action(async (_options: unknown, command: Command) => {
        const { checkConfig, printConfig } = await import('./config-run.js');
        const options = command.optsWithGlobals<ConfigVerbOptions>();
        process.exitCode = name === 'check' ? await checkConfig(options) : await printConfig(options);
      });
  }
}
