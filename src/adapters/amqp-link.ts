import { asError } from '../util/errors.js';
import { redactUri } from '../util/redact.js';

export interface LinkEvents {
  /** The session died; ignored when it is no longer the current one. */
  lost(error: Error): void;
}

export interface LinkOptions<S> {
  /** Opens everything a session needs; `lost` may be called from the first moment on, also before it resolves. */
  open(events: LinkEvents): Promise<S>;
  /** Ends a session, at once or politely; must not throw. */
  discard(session: S): void;
  onUp(session: S): void;
  /** A session died or an attempt to open one failed. */
  onDown(reason: string): void;
}

const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 1000;
/** Attempts that `kick` asks for are at least this far apart. */
const KICK_MS = 100;

/**
 * Keeps one session open: idle -> opening -> up -> (lost) -> waiting -> opening … -> closed. amqplib's own recovery misses a
 * connection that dies while it is being set up, and never restores channels or consumers.
 */
export class Link<S> {
  #phase: 'idle' | 'opening' | 'up' | 'waiting' | 'closed' = 'idle';
  #session: S | null = null;
  #generation = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #failedAt = 0;
  #reason: string | null = 'not connected yet';
  #downSince = performance.now();

  constructor(private readonly options: LinkOptions<S>) {}

  get session(): S | null {
    return this.#session;
  }

  /** Why there is no session; null when there is one. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Ms without a session; 0 while there is one. */
  get downMs(): number {
    return this.#session === null ? performance.now() - this.#downSince : 0;
  }

  /** First use, or somebody waits: tries now instead of after the backoff. */
  kick(): void {
    const rested = performance.now() - this.#failedAt >= KICK_MS;
    if (this.#phase === 'idle') this.#downSince = performance.now();
    if (this.#phase === 'idle' || (this.#phase === 'waiting' && rested)) this.#attempt();
  }

  /** Gives the current session up (a channel died, a watchdog fired) and opens another. */
  fail(session: S, error: Error): void {
    if (session === this.#session) this.#down(error);
  }

  close(): S | null {
    const session = this.#session;
    this.#phase = 'closed';
    this.#generation += 1;
    this.#session = null;
    this.#reason = 'closed';
    clearTimeout(this.#timer);
    return session;
  }

  #attempt(): void {
    clearTimeout(this.#timer);
    this.#phase = 'opening';
    const generation = (this.#generation += 1);
    const current = (): boolean => generation === this.#generation;
    let early: Error | null = null;
    const lost = (error: Error): void => {
      if (!current()) return;
      if (this.#phase === 'opening') early ??= error;
      else this.#down(error);
    };
    this.options.open({ lost }).then(
      (session) => {
        if (!current()) this.options.discard(session);
        else if (early !== null) {
          this.options.discard(session);
          this.#down(early);
        } else this.#up(session);
      },
      (error: unknown) => {
        if (current()) this.#down(early ?? asError(error));
      },
    );
  }

  #up(session: S): void {
    this.#phase = 'up';
    this.#session = session;
    this.#reason = null;
    this.options.onUp(session);
  }

  #down(error: Error): void {
    const session = this.#session;
    const wasUp = session !== null;
    this.#session = null;
    this.#generation += 1;
    this.#reason = redactUri(error.message || error.name);
    this.#failedAt = performance.now();
    // A session that held is a fresh start; one that dies at once counts as one more failure.
    if (wasUp && this.#failedAt - this.#downSince > 10_000) this.#failures = 0;
    if (wasUp) this.#downSince = this.#failedAt;
    this.#failures += 1;
    this.#phase = 'waiting';
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(this.#failures, 10));
    this.#timer = setTimeout(() => this.#attempt(), ceiling * (0.5 + Math.random() / 2));
    if (session !== null) this.options.discard(session);
    this.options.onDown(this.#reason);
  }
}
