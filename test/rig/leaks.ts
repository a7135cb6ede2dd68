import { existsSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeHolder, holderOf } from '../../src/host/ports.js';
import { commandOf, identityOf, isAlive, pidsWithEnv } from '../../src/host/proc.js';
import { MEMT_ENV } from '../../src/model/launch.js';
import { poll } from '../../src/util/deadline.js';
import type { Layout } from '../../src/util/layout.js';

/** A process that has been asked to end may need a moment; one that nobody asked never goes. */
const SETTLE_MS = 1500;
const KILL_MS = 5000;

/**
 * What a stack has left on this machine, as sentences; empty = nothing. Ends and removes all of it.
 * The project folder itself is the caller's.
 */
export async function collectLeaks(layout: Layout, ports: readonly number[]): Promise<string[]> {
  const left = (): number[] => pidsWithEnv(MEMT_ENV.runDir, layout.runDir);
  await poll(() => (left().length === 0 ? true : undefined), {
    everyMs: 20,
    ms: SETTLE_MS,
    what: 'processes of the stack',
  }).catch(() => undefined);
  const strays = left().flatMap((pid) => identityOf(pid) ?? []);
  const leaks = strays.map(({ pid }) => `process ${pid} still runs: ${commandOf(pid)}`);
  for (const port of ports) {
    const holder = holderOf(port);
    if (holder) leaks.push(`port ${port} is still held by ${describeHolder(holder)}`);
  }
  for (const identity of strays) {
    try {
      process.kill(identity.pid, 'SIGKILL');
    } catch {
      // it ended by itself at last
    }
  }
  await poll(() => (strays.some(isAlive) ? undefined : true), { everyMs: 10, ms: KILL_MS, what: 'killed processes' });
  const runtime = dirname(layout.socketDir);
  if (runtime !== layout.runDir && existsSync(runtime)) {
    leaks.push(`folder ${runtime} is still there`);
    rmSync(runtime, { recursive: true, force: true });
  }
  return leaks;
}
