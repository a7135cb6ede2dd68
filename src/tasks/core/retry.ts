import { MAX_DELAY_MS } from './topology.js';

export interface RetryPolicy {
  /** Runs at most, the first included. */
  readonly maxAttempts: number;
  readonly backoff: 'exponential' | 'fixed';
  /** Delay before the second attempt, ms; doubled for each further one when exponential. */
  readonly minMs: number;
  readonly maxMs: number;
  /** `full`: anywhere between 0 and the delay, so that failures that came together do not come back together. */
  readonly jitter: 'full' | 'none';
  /** False: this error is final. */
  readonly when: (error: unknown) => boolean;
}

export const DEFAULT_RETRY: RetryPolicy = {
  maxAttempts: 5,
  backoff: 'exponential',
  minMs: 1000,
  maxMs: 600_000,
  jitter: 'full',
  when: () => true,
};

/** Delay in ms before attempt `failed + 1`. `random` is in [0, 1). */
export function retryDelay(policy: RetryPolicy, failed: number, random: number): number {
  const factor = policy.backoff === 'exponential' ? 2 ** Math.min(failed - 1, 30) : 1;
  const ceiling = Math.min(policy.minMs * factor, policy.maxMs, MAX_DELAY_MS);
  return Math.round(policy.jitter === 'full' ? ceiling * random : ceiling);
}
