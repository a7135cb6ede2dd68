import { Command, CommanderError } from 'commander';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EXIT } from '../model/exit.js';
import { FAILURE_EXIT, FailureError } from '../model/failure.js';
import { packageRoot, packageVersion } from '../util/entries.js';
import { asError } from '../util/errors.js';
import { usePrivateUmask } from '../util/private-umask.js';
import { addConfig } from './config.js';
import { addDown } from './down.js';
import { addInit } from './init.js';
import { addLogs } from './logs.js';
import { failureText } from './render/text.js';
import { addStatus } from './status.js';
import { addUp } from './up.js';

const EXAMPLES = `
Examples:
  memt up                        start everything that is missing, prove it healthy
  memt status                    what runs, and how it is
  memt logs --level error        what went wrong, over the whole stack
  memt down                      stop in order, lose nothing

Exit codes: 0 fine, 1 degraded, 3 not running, 64 usage, 69 a unit failed, 75 locked, 78 config.`;

/** Runs one command line; ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  quietOnClosedPipe();
  const local = projectCopy();
  if (local) {
    const copy = (await import(pathToFileURL(local).href)) as { main: typeof main };
    return copy.main(argv);
  }
  usePrivateUmask();
  process.exit(await run(argv));
}

async function run(argv: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    return explain(error, argv.includes('--json'));
  }
}

function createProgram(): Command {
  const program = new Command('memt')
    .description('MongoDB, RabbitMQ, queue workers and a clustered Node server: up, proven healthy, with one command')
    .version(packageVersion(), '-V, --version')
    .option('-C, --dir <dir>', 'run as if started in this folder')
    .option('--config <file>', 'the config file (default: ecosystem.config.* here or in a folder above)')
    .option('--no-color', 'no colours (also: NO_COLOR)')
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', EXAMPLES);
  for (const add of [addUp, addDown, addStatus, addLogs, addInit, addConfig]) add(program);
  return program;
}

function explain(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof FailureError) {
    const { failure } = error;
    const code = FAILURE_EXIT[failure.kind];
    if (json) process.stdout.write(JSON.stringify({ schema: 1, error: failure, exitCode: code }) + '\n');
    else process.stderr.write(`${failureText(failure, null)}\n`);
    return code;
  }
  process.stderr.write(`memt ${packageVersion()} has a bug: ${asError(error).stack ?? asError(error).message}\n`);
  return EXIT.bug;
}

/** A reader that goes away (`| head`, a closed terminal) must not stop an `up` or `down` half-way: the rest is said to nobody. */
function quietOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    });
  }
}

/** A globally installed memt hands over to the project's own copy, so that a project gets the version it asks for. */
function projectCopy(): string | null {
  const directory = dirFlag(process.argv) ?? process.cwd();
  for (let folder = directory; ; folder = dirname(folder)) {
    const copy = join(folder, 'node_modules/memt');
    if (existsSync(join(copy, 'dist/src/cli/main.js'))) {
      const real = realpathSync(copy);
      return real === realpathSync(packageRoot) ? null : join(real, 'dist/src/cli/main.js');
    }
    if (folder === dirname(folder)) return null;
  }
}

function dirFlag(argv: readonly string[]): string | undefined {
  const at = argv.findIndex((word) => word === '-C' || word === '--dir');
  return at > 0 ? argv[at + 1] : undefined;
}
