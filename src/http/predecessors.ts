import { setTimeout as sleep } from 'node:timers/promises';
import { readJournal } from '../host/journal-file.js';
import { holderOf } from '../host/ports.js';
import { identityOf, isAlive, pidsWithEnv, type ProcessIdentity } from '../host/proc.js';
import { INSTANCE_MARK } from './boot.js';
import { isFree, reachable } from './probe.js';

const FREE_LOOK_MS = 2;
/** A predecessor that still holds the port after so long hangs, ms. */
const HOLD_LIMIT_MS = 1000;
/** How long the port may stay taken altogether before the new instances find out for themselves, ms. */
const FREE_LIMIT_MS = 5000;

/**
 * A primary of this unit that still lives although another was started, from the journal.
 * Call it before the own record is written: it has the same name.
 */
export function livingPrimary(journalDir: string, instance: string): ProcessIdentity | null {
  const record = readJournal(journalDir).find((one) => one.instance === instance && one.role === 'web');
  if (record?.pid == null || record.pid === process.pid) return null;
  const identity = { pid: record.pid, startTime: record.startTime, bootId: record.bootId };
  return isAlive(identity) ? identity : null;
}

/** Instances that another primary forked for this project and that still live: by the journal, and by the mark in their environment. */
export function livingInstances(
  journalDir: string,
  runDir: string,
  unit: string,
  own: ReadonlySet<number>,
): ProcessIdentity[] {
  const recorded = readJournal(journalDir).filter((one) => one.role === 'web-instance' && one.unit === unit);
  const identities = new Map<number, ProcessIdentity>();
  for (const { pid, startTime, bootId } of recorded) {
    if (pid !== null && isAlive({ pid, startTime, bootId })) identities.set(pid, { pid, startTime, bootId });
  }
  for (const pid of pidsWithEnv(INSTANCE_MARK, runDir)) {
    const identity = identityOf(pid);
    if (identity) identities.set(pid, identity);
  }
  return [...identities.values()].filter(({ pid }) => !own.has(pid) && pid !== process.pid);
}

export function stillAlive(identities: readonly ProcessIdentity[]): ProcessIdentity[] {
  return identities.filter(isAlive);
}

/**
 * Makes the predecessors close their listeners (they finish what they have by themselves) and waits until the port is free.
 * One that hangs and keeps it is killed.
 * @returns how long the port took to come free, ms, and the pids that had to be killed
 */
export async function releasePort(
  predecessors: readonly ProcessIdentity[],
  host: string,
  port: number,
): Promise<{ readonly ms: number; readonly killed: readonly number[] }> {
  const started = performance.now();
  const killed: number[] = [];
  for (const { pid } of stillAlive(predecessors)) signal(pid, 'SIGTERM');
  for (;;) {
    if (await isFree(reachable(host), port)) break;
    const waited = performance.now() - started;
    if (waited > FREE_LIMIT_MS) break;
    if (waited > HOLD_LIMIT_MS) {
      const holder = holderOf(port, host)?.pid;
      const hanging = stillAlive(predecessors).find(({ pid }) => pid === holder);
      if (hanging) {
        signal(hanging.pid, 'SIGKILL');
        killed.push(hanging.pid);
      }
    }
    await sleep(FREE_LOOK_MS);
  }
  return { ms: performance.now() - started, killed };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it ended between the look and the signal
  }
}
