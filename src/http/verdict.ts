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
  /** Deaths in a row. */
  readonly crashes: number;
  readonly failure: Failure | null;
}

/**
 * Whether a start that has never been healthy as a whole is given up, and why: at once when no further try can help, when every
 * instance has failed once and none is healthy, or when one has died three times. Errors at load must not loop.
 */
export function giveUp(slots: readonly SlotHistory[]): Failure | null {
  const failures = slots.flatMap((slot) => slot.failure ?? []);
  const hopeless = failures.find((failure) => HOPELESS.has(failure.kind));
  if (hopeless) return hopeless;
  const all = slots.every((slot) => slot.crashes > 0 && !slot.healthy);
  const often = slots.find((slot) => slot.crashes >= MAX_FIRST_CRASHES)?.failure;
  return often ?? (all ? (failures[0] ?? null) : null);
}
