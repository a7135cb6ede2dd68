import type { ProcessIdentity } from '../host/proc.js';
import type { EngineLaunch } from './engine.js';

/** A process that was spawned detached, in its own process group. */
export interface Spawned {
  readonly identity: ProcessIdentity;
  /** Settles when it ends while we still live; never rejects. */
  readonly exit: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** Spawns detached; output goes to the launch's file. Throws FailureError when the program cannot be executed. */
export type Spawn = (launch: EngineLaunch) => Promise<Spawned>;
