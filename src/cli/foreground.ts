import { streamLogs } from '../logs/stream.js';
import { EXIT } from '../model/exit.js';
import { readStackFile } from '../run/stack-file.js';
import type { Layout } from '../util/layout.js';
import { takeDown } from './down-run.js';
import type { GlobalOptions } from './globals.js';

/** How often we look whether somebody else has taken the stack down, ms. */
const LOOK_EVERY_MS = 1000;

/**
 * Streams the stack's logs until Ctrl-C or SIGTERM and then takes the stack down, or until a `memt down` elsewhere has.
 * Gives the exit code of the down.
 */
export async function stayAttached(layout: Layout, options: GlobalOptions): Promise<number> {
  const stop = new AbortController();
  let asked = false as boolean;
  const onSignal = (): void => {
    asked = true;
    stop.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, onSignal);
  const look = setInterval(() => {
    if (!readStackFile(layout)) stop.abort();
  }, LOOK_EVERY_MS);
  await streamLogs({
    logDir: layout.logDir,
    units: [],
    level: 'info',
    signal: stop.signal,
    write: (text) => process.stdout.write(text),
  });
  clearInterval(look);
  for (const signal of signals) process.removeListener(signal, onSignal);
  if (asked) return takeDown(layout, options);
  process.stderr.write('The stack was taken down elsewhere.\n');
  return EXIT.ok;
}
