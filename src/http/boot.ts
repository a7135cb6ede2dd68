import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { captureOutput, type Logger } from '../logs/capture.js';
import { FailureError } from '../model/failure.js';
import { MEMT_ENV, type Launch } from '../model/launch.js';
import type { WebSettings } from '../model/settings.js';
import { layoutOf, type Layout } from '../util/layout.js';

/** Marks an instance's process for the next primary; taken out of process.env at once, so that its children do not carry it. */
export const INSTANCE_MARK = 'MEMT_WEB_INSTANCE_OF';

/** An instance of the web server, seen from inside. */
export interface InstanceBoot {
  readonly launch: Launch;
  readonly settings: WebSettings;
  readonly layout: Layout;
  /** `web.0` */
  readonly instance: string;
  readonly log: Logger;
}

/**
 * First thing an instance does: reads the launch file, sets process.env, sends its output to its own log. It registers in the journal
 * only when it starts to listen: until then its predecessor of the same name may still serve.
 * @throws FailureError when no primary forked it
 */
export async function bootInstance(): Promise<InstanceBoot> {
  const launchFile = process.env[MEMT_ENV.launch];
  const instance = process.env[MEMT_ENV.instance];
  if (launchFile === undefined && instance !== undefined && process.env[MEMT_ENV.unit] !== undefined)
    return bootBareInstance(instance);
  if (launchFile === undefined || instance === undefined) {
    throw new FailureError({
      kind: 'usage',
      what: "this program is forked by the web server's primary",
      mend: 'memt up',
    });
  }
  const launch = JSON.parse(readFileSync(launchFile, 'utf8')) as Launch;
  const settings = launch.settings as WebSettings;
  const layout = layoutOf(launch.root);
  applyEnvironment(launch, settings);
  const log = captureOutput({ file: join(layout.logDir, `${instance}.ndjson`), unit: launch.unit, instance });
  return { launch, settings, layout, instance, log };
}

/** Under a PM2 that memt does not run: the output stays PM2's. */
async function bootBareInstance(instance: string): Promise<InstanceBoot> {
  const { bareLaunch, bareLayout, bareLogger } = await import('../child/bare.js');
  const launch = await bareLaunch();
  const settings = launch.settings as WebSettings;
  applyEnvironment(launch, settings);
  return { launch, settings, layout: bareLayout(launch.root), instance, log: bareLogger(launch.unit, instance) };
}

function applyEnvironment(launch: Launch, settings: WebSettings): void {
  Object.assign(process.env, launch.env);
  if (launch.engines.mongodb !== null) process.env['MONGODB_URI'] = launch.engines.mongodb;
  if (launch.engines.rabbitmq !== null) process.env['RABBITMQ_URL'] = launch.engines.rabbitmq;
  // What an application that listens by itself goes by.
  process.env['PORT'] = String(settings.port);
  Reflect.deleteProperty(process.env, INSTANCE_MARK);
}
