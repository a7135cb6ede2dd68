import type { Failure } from '../model/failure.js';
import { poll, sleep } from '../util/deadline.js';
import { Slot } from './slot.js';
import type { Tier } from './tier.js';

export interface RollResult {
  readonly ok: boolean;
  readonly replaced: number;
  readonly failure?: Failure;
}

export interface ScaleResult {
  readonly ok: boolean;
  readonly workers: number;
  readonly failure?: Failure;
}

/** How long the first replacement must live before it may listen and the others follow, ms. */
const CANARY_MS = 300;
const START_LOOK_MS = 20;
/** A start settles by its own deadlines; this one is for a bug in them, ms. */
const START_LIMIT_MS = 10 * 60_000;
const MAX_WORKERS = 1024;

/** Changes a running tier without ever going below its size. One change at a time, in the order they were asked for. */
export class Roller {
  readonly #tier: Tier;
  #last: Promise<unknown> = Promise.resolve();

  constructor(tier: Tier) {
    this.#tier = tier;
  }

  /**
   * Replaces every instance by one with the code and settings of now: the first is a canary; the old ones stay when it does not work.
   * A tier that gave up or was drained starts anew.
   */
  reload(): Promise<RollResult> {
    return this.#queue(async () => {
      const tier = this.#tier;
      if (!tier.gateOpen) return { ok: true, replaced: 0 };
      tier.reread();
      if (tier.failure || !tier.running) return this.#startAnew();
      const closing: Promise<unknown>[] = [];
      for (const slot of tier.slots) {
        const failure = await this.#replace(slot, closing);
        if (failure) return { ok: false, replaced: closing.length, failure };
      }
      // Whoever asks from now on is answered by the new code; the old instances may still finish what they have.
      await Promise.all(closing);
      const replaced = closing.length;
      tier.reloads += 1;
      return { ok: true, replaced };
    });
  }

  /** Sets the number of instances: new ones are healthy, superfluous ones drained when it resolves. */
  scale(workers: unknown): Promise<ScaleResult> {
    if (typeof workers !== 'number' || !Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
      throw new Error(`workers must be a whole number from 1 to ${MAX_WORKERS}`);
    }
    return this.#queue(async () => {
      const tier = this.#tier;
      if (tier.failure || !tier.running || !tier.gateOpen)
        throw new Error(`cannot scale: ${tier.status().reason ?? 'not running'}`);
      while (tier.slots.length < workers) {
        const slot = new Slot(tier.slotName(tier.slots.length));
        const instance = tier.fork(slot);
        const failure = await tier.raise(instance);
        if (failure) return { ok: false, workers: tier.slots.length, failure };
        tier.slots.push(slot);
        tier.swap(slot, instance);
      }
      const leaving = tier.slots.splice(workers).flatMap((slot) => {
        slot.cancelRetry();
        const { current } = slot;
        slot.current = null;
        return current ?? [];
      });
      for (const instance of leaving) void tier.retire(instance);
      await Promise.all(leaving.map((instance) => instance.exited));
      return { ok: true, workers: tier.slots.length };
    });
  }

  async #replace(slot: Slot, closing: Promise<unknown>[]): Promise<Failure | null> {
    const tier = this.#tier;
    const restoreRecord = tier.keepRecord(slot);
    const next = tier.fork(slot);
    // Nobody but the probe reaches the canary until it has lived for a moment.
    const failure = await (closing.length === 0 ? tier.raise(next, () => sleep(CANARY_MS)) : tier.raise(next));
    if (failure === null && tier.running) {
      closing.push(tier.swap(slot, next).closed);
      return null;
    }
    next.kill();
    await next.exited;
    restoreRecord();
    return failure ?? { kind: 'cancelled', what: 'the web server is being stopped' };
  }

  async #startAnew(): Promise<RollResult> {
    const tier = this.#tier;
    await tier.stop();
    tier.start();
    const failure = await poll(
      () =>
        tier.failure ? { failure: tier.failure } : tier.status().state === 'healthy' ? { failure: null } : undefined,
      { everyMs: START_LOOK_MS, ms: START_LIMIT_MS, what: 'start of the web server' },
    );
    return failure.failure
      ? { ok: false, replaced: 0, failure: failure.failure }
      : { ok: true, replaced: tier.slots.length };
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work);
    this.#last = next.catch(() => undefined);
    return next;
  }
}
