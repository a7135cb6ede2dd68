/** Rates per second between two looks, so that nothing has to be measured while nobody looks. */
export class Rates {
  private readonly last = new Map<string, { readonly at: number; readonly count: number; readonly rate: number }>();

  /** Looks closer together than this (ms) share one measurement. */
  constructor(private readonly minimumMs = 900) {}

  /** Events per second of the counter `name` since the look before; 0 at the first. */
  rate(name: string, count: number, now = performance.now()): number {
    const before = this.last.get(name);
    if (!before) {
      this.last.set(name, { at: now, count, rate: 0 });
      return 0;
    }
    const elapsed = now - before.at;
    if (elapsed < this.minimumMs) return before.rate;
    const rate = Math.max(0, Math.round(((count - before.count) / elapsed) * 10_000) / 10);
    this.last.set(name, { at: now, count, rate });
    return rate;
  }

  /** Forgets counters that are gone. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.last.keys()) if (!names.has(name)) this.last.delete(name);
  }
}
