import { EXIT, type ExitCode } from './exit.js';

/** Every expected trouble has a kind; a bug throws instead. */
export const FAILURE_EXIT = {
  usage: EXIT.usage,
  'config-missing': EXIT.config,
  'config-invalid': EXIT.config,
  'config-unreadable': EXIT.config,
  installation: EXIT.config,
  'entry-missing': EXIT.config,
  'project-unwritable': EXIT.config,
  'entry-throws': EXIT.unavailable,
  'entry-shape': EXIT.unavailable,
  'port-taken': EXIT.unavailable,
  'engine-missing': EXIT.unavailable,
  'engine-exited': EXIT.unavailable,
  'engine-timeout': EXIT.unavailable,
  'engine-foreign': EXIT.unavailable,
  'engine-refused': EXIT.unavailable,
  'data-dir': EXIT.unavailable,
  'unit-exited': EXIT.unavailable,
  'unit-timeout': EXIT.unavailable,
  pm2: EXIT.unavailable,
  'disk-full': EXIT.unavailable,
  'stop-failed': EXIT.unavailable,
  'lock-busy': EXIT.lock,
  interrupted: EXIT.interrupted,
  terminated: EXIT.terminated,
  cancelled: EXIT.unavailable,
} as const satisfies Record<string, ExitCode>;
export type FailureKind = keyof typeof FAILURE_EXIT;

/** An expected trouble, as data: what happened and where, why probably, and how to mend it. */
export interface Failure {
  readonly kind: FailureKind;
  readonly unit?: string;
  /** One sentence without a full stop: what happened, naming the thing and the place. */
  readonly what: string;
  /** The probable cause, one sentence. */
  readonly cause?: string;
  /** What the user can do, one or two sentences or commands. */
  readonly mend?: string;
  /** The last error lines of the unit's own log, oldest first. */
  readonly evidence?: readonly string[];
}

/** Carries a Failure through code that can only throw; `toFailure` turns it back. */
export class FailureError extends Error {
  override readonly name = 'FailureError';
  constructor(readonly failure: Failure) {
    super(failure.what);
  }
}
