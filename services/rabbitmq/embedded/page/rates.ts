interface Look {
  readonly at: number;
  readonly count: number;
  readonly rate: number;
}

/** Rates per second between two looks, so that nothing has to be measured while nobody looks. */
export class Rates {
  private readonly looks = new WeakMap<object, Map<string, Look>>();

  /** Looks closer together than this (ms) share one measurement. */
  constructor(private readonly minimumMs = 900) {}

  /** Events per second of the counter `name` of `owner` since the look before; 0 at the first. */
  rate(owner: object, name: string, count: number, now = performance.now()): number {
    const looks = this.looks.get(owner) ?? new Map<string, Look>();
    this.looks.set(owner, looks);
    const before = looks.get(name);
    if (!before) {
      looks.set(name, { at: now, count, rate: 0 });
      return 0;
    }
    const elapsed = now - before.at;
    if (elapsed < this.minimumMs) return before.rate;
    const rate = Math.max(0, Math.round(((count - before.count) / elapsed) * 10_000) / 10);
    looks.set(name, { at: now, count, rate });
    return rate;
  }
}
