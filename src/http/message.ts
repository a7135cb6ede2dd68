import type { Failure } from '../model/failure.js';

/** What the primary tells an instance over IPC. The `memt` key keeps it apart from an application's own messages. */
export type ToInstance =
  | { readonly memt: 'load' }
  /** It was proven: take the shared port and close the private listener. */
  | { readonly memt: 'listen' }
  /** Send `stats` now. */
  | { readonly memt: 'report' }
  /** Keep accepting for `lingerMs` while answering `Connection: close`, then finish what is in hand for at most `graceMs`, and exit. */
  | { readonly memt: 'drain'; readonly lingerMs: number; readonly graceMs: number };

/** What an instance tells the primary. */
export type FromInstance =
  | { readonly memt: 'warm' }
  /** What it is about to do; quoted when it never gets ready. */
  | { readonly memt: 'doing'; readonly text: string }
  /** The application is there; `probePort` is a private loopback listener into its server, where it can be proven before anyone else sees it. */
  | { readonly memt: 'loaded'; readonly application: string; readonly probePort: number; readonly secure: boolean }
  /** It accepts on the shared port. */
  | { readonly memt: 'listening' }
  /** It cannot serve and is about to exit. */
  | { readonly memt: 'failed'; readonly failure: Failure }
  /** An uncaught error ends it; it finishes what it can for a moment. */
  | { readonly memt: 'crashed'; readonly text: string }
  | { readonly memt: 'stats'; readonly served: number; readonly inFlight: number }
  /** Its listener is closed: no new request reaches it. */
  | { readonly memt: 'closed' }
  | { readonly memt: 'drained'; readonly served: number; readonly finished: number; readonly cut: number };

/** True for messages between primary and instance; everything else on the channel belongs to the application. */
export function isOurs(message: unknown): message is { readonly memt: string } {
  return typeof message === 'object' && message !== null && 'memt' in message && typeof message.memt === 'string';
}
