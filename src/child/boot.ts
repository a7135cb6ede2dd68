import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serveControl, type ControlServer } from '../control/server.js';
import { identityFields, writeJournal } from '../host/journal-file.js';
import { captureOutput, type Logger } from '../logs/capture.js';
import { FailureError } from '../model/failure.js';
import type { JournalRecord } from '../model/journal.js';
import { MEMT_ENV, type Launch } from '../model/launch.js';
import { poll } from '../util/deadline.js';
import { gateFile, layoutOf, type Layout } from '../util/layout.js';

/** A process that memt forked or spawned, seen from inside. */
export interface Child {
  readonly launch: Launch;
  readonly layout: Layout;
  /** `web`, `worker.0`, `mongodb`: names its log file, control socket and journal record. */
  readonly instance: string;
  readonly log: Logger;
  readonly control: ControlServer;
  /** Resolves when everything this unit depends on is healthy; at once when it already is. */
  gate(signal?: AbortSignal): Promise<void>;
}

/** How long a warmed process waits for its gate before it gives up: longer than any `up` may take. */
const GATE_LIMIT_MS = 30 * 60_000;

/**
 * First thing every `services/<unit>/main.ts` calls: reads the launch file, sets process.env, sends stdout and stderr to the
 * instance's own NDJSON log, registers the process in the journal and opens its control socket.
 * @throws FailureError when it was not started by memt (no launch file).
 */
export async function bootChild(role: JournalRecord['role']): Promise<Child> {
  const launchFile = process.env[MEMT_ENV.launch];
  if (launchFile === undefined && process.env[MEMT_ENV.unit] !== undefined) return bootBare();
  if (launchFile === undefined) {
    throw new FailureError({
      kind: 'usage',
      what: 'this program is started by memt and found no launch file',
      mend: 'memt up',
    });
  }
  const launch = JSON.parse(readFileSync(launchFile, 'utf8')) as Launch;
  const instance = process.env[MEMT_ENV.instance] ?? launch.unit;
  const layout = layoutOf(launch.root);
  dropForeignVariables(launch);
  applyEnvironment(launch);
  process.umask(launch.umask);
  const log = captureOutput({ file: join(layout.logDir, `${instance}.ndjson`), unit: launch.unit, instance });
  if (role !== 'engine') {
    // Engines are recorded by whoever spawns them, with version and settings.
    writeJournal(layout.journalDir, {
      schema: 1,
      unit: launch.unit,
      instance,
      role,
      ...identityFields(process.pid),
      at: Date.now(),
      command: process.argv.join(' '),
      ports: [],
      settingsDigest: launch.settingsDigest,
    });
  }
  const control = await serveControl(join(layout.socketDir, `${instance}.sock`));
  return { launch, layout, instance, log, control, gate: (signal) => gateOf(layout, launch.unit, signal) };
}

/** A child of a PM2 that memt does not run: its output stays PM2's, nothing is recorded, and nobody opens a gate for it. */
async function bootBare(): Promise<Child> {
  // Loaded only here: under memt no child needs the config room.
  const { bareControl, bareLaunch, bareLayout, bareLogger } = await import('./bare.js');
  const launch = await bareLaunch();
  const instance = process.env[MEMT_ENV.instance] ?? launch.unit;
  applyEnvironment(launch);
  const log = bareLogger(launch.unit, instance);
  const layout = bareLayout(launch.root);
  return { launch, layout, instance, log, control: bareControl, gate: () => Promise.resolve() };
}

/** PM2 writes its whole table (`name`, `status`, `kill_timeout`, …) into the environment of what it forks: the application gets none of it. */
function dropForeignVariables(launch: Launch): void {
  for (const name of Object.keys(process.env)) {
    if (!(name in launch.env) && !name.startsWith('MEMT_')) Reflect.deleteProperty(process.env, name);
  }
}

function applyEnvironment(launch: Launch): void {
  Object.assign(process.env, launch.env);
  if (launch.engines.mongodb !== null) process.env['MONGODB_URI'] = launch.engines.mongodb;
  if (launch.engines.rabbitmq !== null) process.env['RABBITMQ_URL'] = launch.engines.rabbitmq;
}

async function gateOf(layout: Layout, unit: string, signal?: AbortSignal): Promise<void> {
  const file = gateFile(layout, unit);
  await poll(() => (existsSync(file) ? true : undefined), {
    everyMs: 20,
    ms: GATE_LIMIT_MS,
    what: `gate ${dirname(file)}`,
    ...(signal ? { signal } : {}),
  });
}
