import cluster from 'node:cluster';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../child/boot.js';
import type { ProcessIdentity } from '../host/proc.js';
import { MEMT_ENV, type Launch } from '../model/launch.js';
import type { WebSettings } from '../model/settings.js';
import { asError } from '../util/errors.js';
import { forgetInstance } from './record.js';
import { Roller } from './roll.js';
import { Tier } from './tier.js';

export interface PrimaryOptions {
  readonly child: Child;
  /** Compiled entry of an instance. */
  readonly entry: string;
  readonly predecessor: ProcessIdentity | null;
}

/**
 * The primary of the web server: Gunicorn's arbiter. Forks the instances, answers the control operations `status`, `reload`,
 * `scale { workers }` and `drain`, and obeys SIGTERM and SIGINT (graceful, the second time at once), SIGHUP (reload), SIGTTIN and
 * SIGTTOU (one instance more or less).
 */
export function runPrimary({ child, entry, predecessor }: PrimaryOptions): void {
  const { layout, log, control, launch, instance } = child;
  // One kernel queue for all: a blocked or killed instance then holds no connection that it has not accepted (nodejs/node#21746).
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  const leaving = new AbortController();
  const gate = child.gate(leaving.signal);
  const tier = new Tier({
    unit: launch.unit,
    layout,
    log,
    entry,
    gate: gate.catch(() => new Promise<void>(() => undefined)),
    readSettings: () => settingsNow(launch),
    predecessor,
  });
  const roller = new Roller(tier);
  gate.catch((error: unknown) => {
    if (!leaving.signal.aborted) tier.fail({ kind: 'unit-timeout', what: asError(error).message });
  });

  let stops = 0;
  const stop = (code: number): void => {
    stops += 1;
    leaving.abort();
    if (stops > 1) {
      tier.killAll();
      process.exit(code);
    }
    void tier.stop().then(({ cut }) => {
      if (cut > 0) log.warn(`stopped; ${cut} requests were cut off`);
      leave(child);
    });
  };
  process.on('SIGTERM', () => stop(143));
  process.on('SIGINT', () => stop(130));
  process.on(
    'SIGHUP',
    () =>
      void roller.reload().then(
        (result) => log.info('reloaded', { ...result }),
        (error: unknown) => log.error('reload failed', { err: error }),
      ),
  );
  const scaleBy = (change: number): void => {
    const wanted = Math.max(1, tier.slots.length + change);
    void roller.scale(wanted).then(
      (result) => log.info('scaled', { ...result }),
      (error: unknown) => log.error('scale failed', { err: error }),
    );
  };
  process.on('SIGTTIN', () => scaleBy(1));
  process.on('SIGTTOU', () => scaleBy(-1));

  // Fresh counters wake every instance: only for those who ask for them, not for the keeper's look each second.
  control.handle('status', (args) => (args['fresh'] === true ? tier.freshStatus() : tier.status()));
  control.handle('reload', () => roller.reload());
  control.handle('scale', (args) => roller.scale(args['workers']));
  // The process itself lives on until it is told to end: PM2 would start it again.
  control.handle('drain', () => {
    leaving.abort();
    return tier.stop();
  });
  // With all instances gone nothing else would: and a primary that gave up must live to say why.
  setInterval(() => undefined, 2 ** 30);
  tier.start();
  log.info(`primary of ${tier.settings.workers} instances`, { instance });
}

function leave({ layout, instance }: Child): never {
  // A successor has put its own record and socket in their place.
  if (forgetInstance(layout, instance, process.pid))
    rmSync(join(layout.socketDir, `${instance}.sock`), { force: true });
  process.exit(0);
}

/** The launch file of now, which `memt up` and `memt reload` write anew; what was read at the start when it is gone. */
function settingsNow(atStart: Launch): WebSettings {
  try {
    const launch = JSON.parse(readFileSync(process.env[MEMT_ENV.launch] ?? '', 'utf8')) as Launch;
    return launch.settings as WebSettings;
  } catch {
    return atStart.settings as WebSettings;
  }
}
