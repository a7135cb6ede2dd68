import { FailureError } from '../model/failure.js';
import { acquireLock, type LockResult } from '../run/lock.js';
import type { Layout } from '../util/layout.js';
import type { Interrupts } from './interrupt.js';

/** How long a verb waits for another one of the same project, ms. */
export const LOCK_WAIT_MS = 180_000;

/**
 * Takes the project lock, saying whom it waits for.
 * @throws FailureError lock-busy after three minutes; the interrupt's reason
 */
export async function takeLock(
  layout: Layout,
  verb: string,
  interrupts: Interrupts,
  options: { readonly cancelHolder: boolean; readonly say: (text: string) => void },
): Promise<Extract<LockResult, { kind: 'held' }>> {
  const result = await acquireLock({
    name: layout.lockName,
    verb,
    waitMs: LOCK_WAIT_MS,
    signal: interrupts.signal,
    cancelHolder: options.cancelHolder,
    onWait: (holder) => {
      if (holder.verb !== 'keeper') options.say(`waiting for memt ${holder.verb} (pid ${holder.pid}) in this project`);
    },
    // A second `down` has nothing to ask of the first: it must not count as its first Ctrl-C either.
    onCancel: () => {
      if (verb !== 'down') interrupts.cancel({ kind: 'cancelled', what: 'a memt down asked this run to give up' });
    },
  });
  if (result.kind === 'held') return result;
  throw new FailureError({
    kind: 'lock-busy',
    what: `memt ${result.holder?.verb ?? '?'} (pid ${result.holder?.pid ?? '?'}) has held this project for ${LOCK_WAIT_MS / 1000} s`,
    mend: 'Wait for it, or end it: kill its pid, then run the command again (it repairs what was left half-way)',
  });
}
