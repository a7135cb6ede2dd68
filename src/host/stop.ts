import { readdirSync } from 'node:fs';
import { FailureError } from '../model/failure.js';
import { codeOf } from '../util/errors.js';
import { isAlive, statOf, type ProcessIdentity } from './proc.js';

export interface StopRequest {
  readonly identity: ProcessIdentity;
  /** Asks for a clean end. */
  readonly signal: NodeJS.Signals;
  /** Time between that signal and SIGKILL, ms; 0 = SIGKILL at once. */
  readonly graceMs: number;
  /** Called about once a second while it still lives. */
  readonly onWait?: (elapsedMs: number) => void;
  /** Aborted = do not wait any longer: SIGKILL now. */
  readonly hurry?: AbortSignal;
}

/** `exited`: it ended by itself in time; `killed`: it had to be; `gone`: it was dead before. */
export type StopOutcome = 'exited' | 'killed' | 'gone';

const FIRST_LOOK_MS = 5;
const SLOWEST_LOOK_MS = 50;
const NOTE_EVERY_MS = 1000;
/** A killed process goes within moments unless the kernel itself is stuck with it. */
const KILL_LIMIT_MS = 10_000;

/**
 * Ends a process that need not be our child, and never another one that got its pid. At the deadline the whole process
 * group is killed when the process leads it, so that nothing of a detached engine is left behind.
 * @throws FailureError stop-failed when we may not signal it, or it survives SIGKILL
 */
export async function stopProcess(request: StopRequest): Promise<StopOutcome> {
  const { identity, signal, hurry } = request;
  if (!isAlive(identity)) return 'gone';
  if (request.graceMs > 0 && hurry?.aborted !== true) {
    if (!send(identity, identity.pid, signal)) return 'gone';
    // A process that somebody stopped (Ctrl-Z, a debugger) would never get to see the signal.
    if (statOf(identity.pid)?.state === 'T') send(identity, identity.pid, 'SIGCONT');
    if (await waitGone(identity, request.graceMs, request.onWait, hurry)) return 'exited';
  }
  const leads = statOf(identity.pid)?.pgid === identity.pid;
  if (!send(identity, leads ? -identity.pid : identity.pid, 'SIGKILL')) return 'exited';
  if (await waitGone(identity, KILL_LIMIT_MS)) return 'killed';
  throw new FailureError({
    kind: 'stop-failed',
    what: `pid ${identity.pid} is still there ${KILL_LIMIT_MS / 1000} s after SIGKILL (state ${statOf(identity.pid)?.state ?? '?'})`,
    cause: 'The kernel is stuck with it, usually on a disk or network file system that does not answer',
    mend: 'Wait for the disk, or restart the machine',
  });
}

/** False when the process is dead already. */
function send(identity: ProcessIdentity, target: number, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(target, signal);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false;
    throw new FailureError({
      kind: 'stop-failed',
      what: `cannot send ${signal} to pid ${identity.pid}: ${codeOf(error) ?? String(error)}`,
      cause: 'It belongs to another user',
      mend: `Stop it as that user, or: sudo kill ${identity.pid}`,
    });
  }
}

/** True as soon as the process is dead; false when it outlives `ms` or `hurry` is aborted. */
async function waitGone(
  identity: ProcessIdentity,
  ms: number,
  onWait?: (elapsedMs: number) => void,
  hurry?: AbortSignal,
): Promise<boolean> {
  const started = performance.now();
  let noted = started;
  for (let pause = FIRST_LOOK_MS; ; pause = Math.min(pause * 1.5, SLOWEST_LOOK_MS)) {
    if (!isAlive(identity) && !threadsLeft(identity)) return true;
    const now = performance.now();
    if (now - started >= ms || hurry?.aborted === true) return false;
    if (now - noted >= NOTE_EVERY_MS) {
      noted = now;
      onWait?.(now - started);
    }
    await pauseFor(Math.min(pause, ms - (now - started)), hurry);
  }
}

/** A process is a zombie as soon as its first thread has ended; the others may hold its port and files for a moment longer. */
function threadsLeft(identity: ProcessIdentity): boolean {
  if (statOf(identity.pid)?.startTime !== identity.startTime) return false;
  try {
    return readdirSync(`/proc/${identity.pid}/task`).length > 1;
  } catch {
    return false; // reaped
  }
}

/** Resolves after `ms`, or earlier when `hurry` is aborted. */
function pauseFor(ms: number, hurry: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      hurry?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(1, ms));
    hurry?.addEventListener('abort', done, { once: true });
  });
}
