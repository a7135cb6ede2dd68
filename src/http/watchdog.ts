import { url } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import type { WatchOptions } from './watch-thread.js';

export interface WatchdogOptions {
  /** Compiled entry of the watching thread. */
  readonly entry: URL;
  /** How long the event loop may be blocked, ms. */
  readonly limitMs: number;
  readonly unit: string;
  readonly instance: string;
  /** The instance's own log, where the stack of the blocking code goes. */
  readonly logFile: string;
  readonly onError: (error: Error) => void;
}

/** Two threads that wake more often than this in every idle instance would be felt, ms. */
const MOST_MS = 3000;

/** Cells of the memory that both threads see. */
export const BEAT = 0;
export const DEBUGGED = 1;

/**
 * Has a thread watch this one: a thread, because whatever could be asked over IPC or HTTP is answered late or never by a blocked
 * event loop, and a helper that answers for it would not notice.
 */
export function startWatchdog(options: WatchdogOptions): void {
  const { entry, limitMs, unit, instance, logFile } = options;
  const shared = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  const cells = new Int32Array(shared);
  const everyMs = Math.max(25, Math.min(MOST_MS, limitMs / 10));
  setInterval(() => {
    Atomics.add(cells, BEAT, 1);
    // Somebody who steps through the code must not be killed for it.
    Atomics.store(cells, DEBUGGED, url() === undefined ? 0 : 1);
  }, everyMs).unref();
  const workerData: WatchOptions = { shared, limitMs, everyMs, unit, instance, logFile };
  const worker = new Worker(entry, {
    workerData,
    execArgv: [],
    name: 'watchdog',
    // It needs next to nothing; the default young generation alone would be 16 MB.
    resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 },
  });
  worker.unref();
  worker.on('error', options.onError);
}
