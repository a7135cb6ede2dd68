import type { Command } from 'commander';
import type { GlobalOptions } from './globals.js';

export interface LogsOptions extends GlobalOptions {
  readonly level?: string;
  readonly since?: string;
  readonly until?: string;
  readonly grep?: string;
  readonly lines?: string;
  readonly follow?: boolean;
}

export function addLogs(program: Command): void {
  program
    .command('logs')
    .summary('what every unit says, merged by time; --level error for what went wrong')
    .description(
      'One stream over all units, in order of time. Units or instances to show: web, worker.1, mongodb, …; none = all.',
    )
    .argument('[unit...]', 'units or instances')
    .option('-l, --level <level>', 'this level and above (error); with a comma exactly these (error,warn)')
    .option('--since <time>', '10m, 1h30m, 14:02, yesterday, 2026-01-31T14:02')
    .option('--until <time>', 'the same forms')
    .option('-g, --grep <pattern>', 'regular expression over text and stack; a capital letter makes case count')
    .option('-n, --lines <count>', 'the last lines only, or all (default: 200; 50 with --follow; all with --since)')
    .option('-f, --follow', 'go on with what comes, until Ctrl-C')
    .option('--json', 'one JSON object a line')
    .option('--no-color', 'no colours (also: NO_COLOR)')
    .addHelpText(
      'after',
      '\nExamples:\n  memt logs --level error\n  memt logs web --since 10m --grep timeout\n  memt logs -f worker\n  memt logs --json | jq -r .text',
    )
    .action(async (units: readonly string[], _options: unknown, command: Command) => {
      const { logs } = await import('./logs-run.js');
      process.exitCode = await logs(units, command.optsWithGlobals<LogsOptions>());
    });
}
