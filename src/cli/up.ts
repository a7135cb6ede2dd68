import { Option, type Command } from 'commander';
import type { GlobalOptions } from './globals.js';

export interface UpVerbOptions extends GlobalOptions {
  readonly dryRun?: boolean;
  readonly foreground?: boolean;
  readonly timeout?: string;
  readonly sequential?: boolean;
  readonly allowEmbedded?: boolean;
  readonly port?: string;
  readonly workers?: string;
  readonly mongodbPort?: string;
  readonly rabbitmqPort?: string;
}

export function addUp(program: Command): void {
  program
    .command('up')
    .argument('[unit...]', 'units to bring up, with what they need; default: all')
    .summary('start what is missing, prove every instance healthy')
    .description('Plan, check, start the engines in order, wait until they are healthy, fork workers and web through PM2, prove every instance.\nAgain: starts only what is missing or changed.')
    .option('--env <name>', 'environment: local, development, production or one of the config')
    .option('--dry-run', 'print the plan with its reasons and change nothing')
    .option('--foreground', 'stay attached: stream the logs, Ctrl-C = ordered down')
    .option('--timeout <duration>', 'limit for every engine and every instance (default: engines 60s, instances 30s)')
    .option('--sequential', 'start each unit only after the one before it is healthy')
    .option('--allow-embedded', 'accept the embedded engines in any environment')
    .option('--port <port>', 'port of the web server')
    .option('--workers <count>', 'web instances: a number, N, 2N+1 (N = CPUs)')
    .option('--mongodb-port <port>', 'port of MongoDB')
    .option('--rabbitmq-port <port>', 'port of RabbitMQ')
    .addOption(new Option('--json', 'events as one JSON object a line'))
    .addHelpText('after', '\nExamples:\n  memt up\n  memt up web                 web and the engines it needs\n  memt up --env production\n  memt up --dry-run           what would happen, and why')
    .action(async (units: string[], _options: unknown, command: Command) => {
      const { up } = await import('./up-run.js');
      process.exitCode = await up(units, command.optsWithGlobals<UpVerbOptions>());
    });
}
