import { streamLogs } from '../logs/stream.js';
import { EXIT } from '../model/exit.js';
import { readStackFile } from '../run/stack-file.js';
import type { Layout } from '../util/layout.js';
import { takeDown } from './down-run.js';
import type { GlobalOptions } from './globals.js';

/** How often we look whether somebody else has taken the stack down, ms. */
const LOOK_EVERY_MS = 1000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Keeps this process with its stack. While it lives, a signal never just ends the process. */
export class Attachment implements Disposable {
  readonly #stop = new AbortController();
  #asked = false;
  readonly #onSignal = (): void => {
    this.#asked = true;
    this.#stop.abort();
  };

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  /**
   * Streams the stack's logs until Ctrl-C or SIGTERM and then takes the stack down, or until a `memt down` elsewhere has.
   * Gives the exit code of the down.
   */
  async stay(layout: Layout, options: GlobalOptions): Promise<number> {
    const look = setInterval(() => {
      if (!readStackFile(layout)) this.#stop.abort();
    }, LOOK_EVERY_MS);
    try {
      await streamLogs({
        logDir: layout.logDir,
        units: [],
        level: 'info',
        signal: this.#stop.signal,
        write: (text) => process.stdout.write(text),
      });
    } finally {
      clearInterval(look);
    }
    if (this.#asked) return takeDown(layout, options);
    process.stderr.write('The stack was taken down elsewhere.\n');
    return EXIT.ok;
  }

  [Symbol.dispose](): void {
    for (const signal of SIGNALS) process.removeListener(signal, this.#onSignal);
  }
}
