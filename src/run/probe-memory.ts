import type { ProbeResult } from '../ports/engine.js';

/** How long a healthy answer stands while the same process lives, ms. */
const STANDS_MS = 3500;

/** Spares a healthy engine the question when it has answered a moment ago. */
export class ProbeMemory {
  readonly #answers = new Map<
    string,
    { readonly at: number; readonly pid: number | null; readonly probe: ProbeResult }
  >();

  /** What the unit answered lately, else what it answers now. Trouble is never remembered. */
  async through(unit: string, pid: number | null, ask: () => Promise<ProbeResult>): Promise<ProbeResult> {
    const last = this.#answers.get(unit);
    if (last && last.pid === pid && performance.now() - last.at < STANDS_MS) return last.probe;
    const probe = await ask();
    if (probe.kind === 'healthy') this.#answers.set(unit, { at: performance.now(), pid, probe });
    else this.#answers.delete(unit);
    return probe;
  }
}
