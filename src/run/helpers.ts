import { join } from 'node:path';
import { identityFields, writeJournal } from '../host/journal-file.js';
import { statOf } from '../host/proc.js';
import { stopProcess } from '../host/stop.js';
import { FailureError } from '../model/failure.js';
import { MEMT_ENV } from '../model/launch.js';
import type { Settings } from '../model/settings.js';
import type { ForkSpec, ProcessManager } from '../ports/process-manager.js';
import { ENTRIES } from '../util/entries.js';
import type { Layout } from '../util/layout.js';
import { writeLaunchFile } from './launch-file.js';
import { identityIn, livingRecord } from './processes.js';

export const KEEPER = 'keeper';
export const PM2_DAEMON = 'pm2';

const KEEPER_GRACE_MS = 3000;

/**
 * Connects to PM2 (starting its daemon when needed) and records the daemon's pid, so that any verb can find it without PM2. A daemon of
 * ours that hangs is killed and replaced: the processes that it has forked work on, watched by the keeper.
 */
export async function connectManager(manager: ProcessManager, layout: Layout): Promise<number> {
  const { daemonPid } = await connectOrReplace(manager, layout);
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

async function connectOrReplace(manager: ProcessManager, layout: Layout): Promise<{ readonly daemonPid: number }> {
  const present = livingRecord(layout, PM2_DAEMON);
  if (!present || present.pid === null || !isStopped(present.pid)) {
    try {
      return await manager.connect();
    } catch (error) {
      if (!present || !(error instanceof FailureError)) throw error;
    }
    manager.disconnect();
  }
  await stopProcess({ identity: identityIn(present), signal: 'SIGKILL', graceMs: 0 });
  return manager.connect();
}

/** A keeper that is stopped may hold the project lock for ever: before a verb asks for it, it is ended; PM2 or `up` starts another. */
export async function endStoppedKeeper(layout: Layout): Promise<void> {
  const keeper = livingRecord(layout, KEEPER);
  if (keeper?.pid != null && isStopped(keeper.pid))
    await stopProcess({ identity: identityIn(keeper), signal: 'SIGKILL', graceMs: 0 });
}

/** Stopped by Ctrl-Z, SIGSTOP or a debugger: it would not answer before its deadline, so there is no need to ask. */
export function isStopped(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state === 'T' || state === 't';
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
