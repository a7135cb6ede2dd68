import { setTimeout as sleepFor } from 'node:timers/promises';

/** Thrown when a wait has reached its deadline; `what` names the wait. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  constructor(
    readonly what: string,
    readonly ms: number,
  ) {
    super(`${what}: no answer within ${ms} ms`);
  }
}

/** Settles like `work`, but rejects with DeadlineError after `ms`. The work itself is not stopped. */
export async function withDeadline<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new DeadlineError(what, ms)), ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after `ms`, or rejects with the signal's reason. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleepFor(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Calls `check` every `everyMs` until it gives a value other than undefined.
 * @throws DeadlineError after `ms`; the signal's reason when aborted; whatever `check` throws.
 */
export async function poll<T>(
  check: () => Promise<T | undefined> | T | undefined,
  options: { readonly everyMs: number; readonly ms: number; readonly what: string; readonly signal?: AbortSignal },
): Promise<T> {
  const end = performance.now() + options.ms;
  for (;;) {
    options.signal?.throwIfAborted();
    const value = await check();
    if (value !== undefined) return value;
    if (performance.now() >= end) throw new DeadlineError(options.what, options.ms);
    await sleep(options.everyMs, options.signal);
  }
}
