import { join } from 'node:path';
import { identityFields, writeJournal } from '../host/journal-file.js';
import { MEMT_ENV } from '../model/launch.js';
import type { Settings } from '../model/settings.js';
import type { ForkSpec, ProcessManager } from '../ports/process-manager.js';
import { ENTRIES } from '../util/entries.js';
import type { Layout } from '../util/layout.js';
import { writeLaunchFile } from './launch-file.js';

export const KEEPER = 'keeper';
export const PM2_DAEMON = 'pm2';

const KEEPER_GRACE_MS = 3000;

/** Connects to PM2 (starting its daemon when needed) and records the daemon's pid, so that any verb can find it without PM2. */
export async function connectManager(manager: ProcessManager, layout: Layout): Promise<number> {
  const { daemonPid } = await manager.connect();
  writeJournal(layout.journalDir, {
    schema: 1,
    unit: PM2_DAEMON,
    instance: PM2_DAEMON,
    role: 'pm2',
    ...identityFields(daemonPid),
    at: Date.now(),
    command: `PM2 daemon (PM2_HOME=${layout.pm2Home})`,
    ports: [],
  });
  return daemonPid;
}

export function keeperSpec(layout: Layout): ForkSpec {
  return {
    name: KEEPER,
    script: ENTRIES.keeper,
    cwd: layout.root,
    env: {
      [MEMT_ENV.runDir]: layout.runDir,
      [MEMT_ENV.launch]: join(layout.launchDir, `${KEEPER}.json`),
      [MEMT_ENV.instance]: KEEPER,
    },
    outFile: join(layout.logDir, 'keeper.out'),
    errorFile: join(layout.logDir, 'keeper.err'),
    graceMs: KEEPER_GRACE_MS,
    nodeArgs: ['--max-semi-space-size=1'],
  };
}

/** Forks the keeper under PM2, so that PM2 brings a killed keeper back and the keeper a killed PM2. */
export async function forkKeeper(manager: ProcessManager, layout: Layout, settings: Settings): Promise<void> {
  writeLaunchFile(layout, settings, KEEPER, null, '', {});
  await manager.remove(KEEPER, KEEPER_GRACE_MS);
  await manager.fork(keeperSpec(layout));
}
