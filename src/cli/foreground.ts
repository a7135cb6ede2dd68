import { streamLogs } from '../logs/stream.js';
import type { GlobalOptions } from './globals.js';
import { takeDown } from './down-run.js';
import type { Layout } from '../util/layout.js';

/** Streams the stack's logs until Ctrl-C or SIGTERM, then takes the stack down; gives the exit code of the down. */
export async function stayAttached(layout: Layout, options: GlobalOptions): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, onSignal);
  await streamLogs({ logDir: layout.logDir, units: [], level: 'info', signal: stop.signal, write: (text) => process.stdout.write(text) });
  return takeDown(layout, options);
}
