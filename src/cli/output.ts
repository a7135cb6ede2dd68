import type { GlobalOptions } from './globals.js';
import { ndjsonRenderer } from './render/ndjson.js';
import { plainRenderer } from './render/plain.js';
import type { Renderer } from './render/renderer.js';
import { paint, wantsColor } from './render/text.js';

/** The renderer for whoever is listening: NDJSON with `--json`, moving rows on a terminal, plain lines elsewhere. */
export async function chooseRenderer(options: GlobalOptions, verb: 'up' | 'down'): Promise<Renderer> {
  const out = (text: string): void => void process.stdout.write(text);
  const err = (text: string): void => void process.stderr.write(text);
  if (options.json) return ndjsonRenderer(out);
  const colors = paint(wantsColor(process.stdout, process.env, options.color));
  const moving = process.stdout.isTTY && process.env['TERM'] !== 'dumb' && (process.env['CI'] ?? '') === '';
  if (!moving || verb === 'down') return plainRenderer(out, err, colors, verb);
  const { ttyRenderer } = await import('./render/tty.js');
  return ttyRenderer(out, err, colors);
}
