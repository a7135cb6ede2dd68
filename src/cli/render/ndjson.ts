import type { Renderer, Write } from './renderer.js';

/** For programs: one JSON object a line, with the time. */
export function ndjsonRenderer(out: Write): Renderer {
  return {
    handle: (event) => out(JSON.stringify({ time: new Date().toISOString(), ...event }) + '\n'),
    end: () => Promise.resolve(),
  };
}
