import { Unavailable } from '../ports/broker.js';
import type { TaskLogger } from './core/definition.js';
import { sleep } from '../util/deadline.js';

const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 2000;

/**
 * Repeats `work` while broker or store are away: a worker holds what it has instead of failing it. Other errors pass.
 * @throws the signal's reason when it gives up
 */
export async function persist<T>(
  what: string,
  work: () => Promise<T>,
  options: {
    readonly giveUp: AbortSignal;
    readonly log: TaskLogger;
    /** Told why it has to wait, and null when it goes on. */
    onHeld(reason: string | null): void;
  },
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    options.giveUp.throwIfAborted();
    try {
      const result = await work();
      if (attempt > 0) options.onHeld(null);
      return result;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      options.onHeld(error.message);
      if (attempt === 0) options.log.warn(`cannot ${what}, trying on: ${error.message}`);
    }
    await sleep(Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(attempt, 8)), options.giveUp);
  }
}
