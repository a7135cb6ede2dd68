import { TimeLimitExceeded } from './core/errors.js';
import type { TaskDefinition, TaskLogger } from './core/definition.js';

export interface Invocation {
  readonly definition: TaskDefinition;
  /** Already checked. */
  readonly input: unknown;
  readonly id: string;
  readonly attempt: number;
  readonly log: TaskLogger;
  /** Aborted when the worker stops. */
  readonly stop: AbortSignal;
}

/**
 * Calls the handler within its time limits. At the soft limit `ctx.signal` is aborted; at the hard one the call counts as
 * failed, whatever the handler still does: running JavaScript cannot be ended from within its own process.
 */
export async function invoke({ definition, input, id, attempt, log, stop }: Invocation): Promise<unknown> {
  const { softMs, hardMs, handler } = definition;
  const abort = new AbortController();
  const timers: NodeJS.Timeout[] = [];
  const onStop = (): void => abort.abort(stop.reason);
  if (stop.aborted) onStop();
  stop.addEventListener('abort', onStop, { once: true });
  try {
    if (softMs !== null) {
      timers.push(setTimeout(() => abort.abort(new TimeLimitExceeded('soft', softMs)), softMs));
    }
    // A handler that is no async function throws at once: as a rejection, too.
    const work = Promise.resolve({ id, attempt, signal: abort.signal, log, idempotencyKey: id }).then((context) =>
      handler(input, context),
    );
    if (hardMs === null) return await work;
    const limit = new Promise<never>((_resolve, reject) => {
      timers.push(
        setTimeout(() => {
          const error = new TimeLimitExceeded('hard', hardMs);
          abort.abort(error);
          reject(error);
        }, hardMs),
      );
    });
    return await Promise.race([work, limit]);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    stop.removeEventListener('abort', onStop);
  }
}
