import type { Command } from 'commander';
import type { GlobalOptions } from './globals.js';

export interface DownVerbOptions extends GlobalOptions {
  readonly purge?: boolean;
  readonly yes?: boolean;
}

export function addDown(program: Command): void {
  program
    .command('down')
    .summary('stop in order, lose nothing')
    .description(
      'Stops web (drained), workers (finish or return their tasks), rabbitmq, mongod (clean shutdown). Data stays.',
    )
    .option('--purge', 'delete the data and logs of this project afterwards; asks first')
    .option('--yes', 'answer yes to that question')
    .option('--json', 'events as one JSON object a line')
    .addHelpText('after', '\nExamples:\n  memt down\n  memt down --purge --yes     also delete .memt')
    .action(async (_options: unknown, command: Command) => {
      const { down } = await import('./down-run.js');
      process.exitCode = await down(command.optsWithGlobals<DownVerbOptions>());
    });
}
