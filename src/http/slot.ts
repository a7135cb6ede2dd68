import type { Failure } from '../model/failure.js';
import { backoffMs } from './backoff.js';
import type { InstanceProcess } from './instance-process.js';
import type { SlotView } from './tier-status.js';
import type { SlotHistory } from './verdict.js';

/** An instance that has served for so long is not in a crash loop, ms. */
const STEADY_MS = 30_000;

/** One place in the tier, `web.0`: the instance that fills it now, and what became of those before. */
export class Slot {
  current: InstanceProcess | null = null;
  restarts = 0;
  /** Deaths in a row. */
  crashes = 0;
  failure: Failure | null = null;
  everHealthy = false;
  #retry: { readonly timer: NodeJS.Timeout; readonly at: number } | null = null;

  constructor(readonly id: string) {}

  get healthy(): boolean {
    return this.current?.phase === 'healthy';
  }

  get history(): SlotHistory {
    return { healthy: this.healthy, everHealthy: this.everHealthy, crashes: this.crashes, failure: this.failure };
  }

  /** Counts a death and says how long to wait before the next try, ms. */
  died(instance: InstanceProcess, wasHealthyForMs: number): number {
    this.crashes = wasHealthyForMs >= STEADY_MS ? 1 : this.crashes + 1;
    this.failure = instance.failure;
    this.current = null;
    return backoffMs(this.crashes);
  }

  retryIn(ms: number, retry: () => void): void {
    this.cancelRetry();
    const timer = setTimeout(() => {
      this.#retry = null;
      retry();
    }, ms);
    this.#retry = { timer, at: performance.now() + ms };
  }

  cancelRetry(): void {
    clearTimeout(this.#retry?.timer);
    this.#retry = null;
  }

  /** A new beginning: what was before does not count. */
  reset(): void {
    this.cancelRetry();
    this.crashes = 0;
    this.failure = null;
    this.everHealthy = false;
  }

  view(stopped: boolean): SlotView {
    const { current } = this;
    const now = performance.now();
    return {
      id: this.id,
      pid: current?.pid ?? null,
      phase: current?.phase ?? (stopped ? 'stopped' : 'waiting'),
      doing: current?.doing ?? 'gone',
      doingForMs: current ? now - current.doingSince : 0,
      startedAt: current?.startedAt ?? 0,
      restarts: this.restarts,
      crashes: this.crashes,
      failure: this.failure,
      retryInMs: this.#retry ? Math.max(0, this.#retry.at - now) : null,
      served: current?.served ?? 0,
      inFlight: current?.inFlight ?? 0,
    };
  }
}
