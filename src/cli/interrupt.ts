import { FailureError, type Failure } from '../model/failure.js';

/** Ctrl-C and its relatives as abort signals: the first asks for an orderly end, the second for one at once. */
export interface Interrupts {
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP; its reason is a FailureError. */
  readonly signal: AbortSignal;
  /** Aborted by the second one. */
  readonly hurry: AbortSignal;
  /** Aborts like a signal from outside, with another reason. */
  cancel(failure: Failure): void;
  release(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function watchInterrupts(onFirst: (signal: string) => void): Interrupts {
  const first = new AbortController();
  const second = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (first.signal.aborted) {
      second.abort();
      return;
    }
    first.abort(
      new FailureError({ kind: signal === 'SIGINT' ? 'interrupted' : 'terminated', what: `stopped by ${signal}` }),
    );
    onFirst(signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    signal: first.signal,
    hurry: second.signal,
    cancel: (failure) => first.abort(new FailureError(failure)),
    release: () => {
      for (const signal of SIGNALS) process.removeListener(signal, onSignal);
    },
  };
}
