import { FailureError, type Failure } from '../model/failure.js';
import { asError } from '../util/errors.js';
import type { Layout } from '../util/layout.js';
import { writeFailure } from './state-dir.js';

/** A thrown value as the failure of the run; bugs are thrown on. */
export function toFailure(error: unknown, outer: AbortSignal, layout: Layout): Failure {
  if (outer.aborted) return interruption(outer.reason);
  if (error instanceof FailureError) return error.failure;
  const { path } = asError(error) as NodeJS.ErrnoException;
  if (path?.startsWith(layout.stateDir) === true) return writeFailure(path, error);
  throw asError(error);
}

/** The failure that stands for an abort: its reason is the FailureError that the aborter gave. */
export function interruption(reason: unknown): Failure {
  return reason instanceof FailureError ? reason.failure : { kind: 'interrupted', what: 'interrupted' };
}
