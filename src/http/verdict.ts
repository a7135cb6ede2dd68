import type { Failure, FailureKind } from '../model/failure.js';

/** Failures that another try cannot mend. */
const HOPELESS: ReadonlySet<FailureKind> = new Set<FailureKind>([
  'entry-missing',
  'entry-shape',
  'port-taken',
  'config-invalid',
  'installation',
]);
/** Deaths of one instance before the first start counts as failed. */
const MAX_FIRST_CRASHES = 3;

export interface SlotHistory {
  readonly healthy: boolean;
  /** Some instance of it has been healthy since the start. */
  readonly everHealthy: boolean;
  /** Deaths in a row. */
  readonly crashes: number;
  readonly failure: Failure | null;
}

export type Verdict =
  /** The start has failed. */
  | { readonly kind: 'give-up'; readonly failure: Failure }
  /** The others of the same start will tell whether another try makes sense. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'replace' };

/**
 * What a death means during a start that has not been healthy as a whole: given up at once when no further try can help, when no
 * instance gets as far as healthy, or when one has died three times. Errors at load must not loop.
 */
export function judgeStart(slots: readonly SlotHistory[]): Verdict {
  const failed = slots.filter((slot) => slot.crashes > 0 && slot.failure !== null);
  const hopeless =
    failed.find((slot) => slot.failure !== null && HOPELESS.has(slot.failure.kind)) ??
    failed.find((slot) => slot.crashes >= MAX_FIRST_CRASHES);
  if (hopeless?.failure) return { kind: 'give-up', failure: hopeless.failure };
  if (slots.some((slot) => slot.everHealthy)) return { kind: 'replace' };
  const first = failed[0]?.failure;
  return first && failed.length === slots.length ? { kind: 'give-up', failure: first } : { kind: 'wait' };
}
