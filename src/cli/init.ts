import type { Command } from 'commander';
import type { GlobalOptions } from './globals.js';

export interface InitVerbOptions extends GlobalOptions {
  readonly force?: boolean;
}

export function addInit(program: Command): void {
  program
    .command('init')
    .argument('[dir]', 'folder of the new project; default: here')
    .summary('write the sample project, ready to run')
    .description('Write the sample application and its ecosystem.config.js into a folder. Overwrites nothing.')
    .option('--force', 'overwrite files of the sample that are there already (never package.json)')
    .option('--json', 'the result as one JSON object')
    .addHelpText('after', '\nExamples:\n  memt init\n  memt init shop && cd shop && npm install && npx memt up')
    .action(async (dir: string | undefined, _options: unknown, command: Command) => {
      const { init } = await import('./init-run.js');
      process.exitCode = init(dir ?? '.', command.optsWithGlobals<InitVerbOptions>());
    });
}
