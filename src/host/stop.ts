import { sleep } from '../util/deadline.js';
import { isAlive, statOf, type ProcessIdentity } from './proc.js';

export interface StopProcessOptions {
  readonly identity: ProcessIdentity;
  /** Asks for a clean end. */
  readonly signal: NodeJS.Signals;
  /** Time until SIGKILL, ms. */
  readonly graceMs: number;
  /** Aborted: SIGKILL now. */
  readonly hurry?: AbortSignal;
}

/** How long a process may take to disappear after SIGKILL, ms; longer only in uninterruptible sleep. */
const KILL_WAIT_MS = 5000;

/**
 * Ends a process that need not be our child. Its whole process group gets the SIGKILL when it leads one.
 * @returns exited: in time; killed: by SIGKILL; gone: it was not there; stuck: it outlived SIGKILL
 */
export async function stopProcess(options: StopProcessOptions): Promise<'exited' | 'killed' | 'gone' | 'stuck'> {
  const { identity, signal, graceMs, hurry } = options;
  if (!isAlive(identity)) return 'gone';
  if (graceMs > 0 && !hurry?.aborted) {
    send(identity.pid, signal);
    if (await waitGone(identity, graceMs, hurry)) return 'exited';
  }
  const leads = statOf(identity.pid)?.pgid === identity.pid;
  send(leads ? -identity.pid : identity.pid, 'SIGKILL');
  return (await waitGone(identity, KILL_WAIT_MS)) ? 'killed' : 'stuck';
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it ended in the meantime
  }
}

/** A stopped (SIGSTOP) process gets its signals only after SIGCONT, hence the deadline above and SIGKILL, which needs none. */
async function waitGone(identity: ProcessIdentity, ms: number, hurry?: AbortSignal): Promise<boolean> {
  const end = performance.now() + ms;
  for (let pause = 2; isAlive(identity); pause = Math.min(pause * 1.5, 50)) {
    if (performance.now() > end || hurry?.aborted) return false;
    await sleep(pause);
  }
  return true;
}
