import type { Command } from 'commander';
import type { GlobalOptions } from './globals.js';

export interface StatusOptions extends GlobalOptions {
  readonly watch?: boolean;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .summary('every unit and instance with its real health')
    .description(
      'Every unit and instance with its real health. Exit code 0 healthy, 1 starting or degraded, 3 not running.',
    )
    .option('--env <name>', 'environment to show when nothing has been started')
    .option('--json', 'the report as one JSON object')
    .option('--watch', 'look again every second until Ctrl-C')
    .addHelpText('after', '\nExamples:\n  memt status\n  memt status --json | jq -r .state\n  memt status --watch')
    .action(async (_options: unknown, command: Command) => {
      const { status } = await import('./status-run.js');
      process.exitCode = await status(command.optsWithGlobals<StatusOptions>());
    });
}
