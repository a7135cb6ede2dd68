/** A right to run one task. Both methods may be called more than once. */
export interface Slot {
  /** Ends the time alone: others may start. */
  share(): void;
  release(): void;
}

interface Waiter {
  readonly alone: boolean;
  /** It has waited long enough for the others to end: it starts beside them. */
  impatient: boolean;
  timer: NodeJS.Timeout | undefined;
  grant(slot: Slot | null): void;
}

/** How long a suspect waits to be alone, and stays alone, ms: longer would let one slow task stop a worker. */
const ALONE_MS = 5000;

/**
 * Limits how many tasks run at once. A task that was running when its worker died starts alone, so that when it kills this
 * worker too, no neighbour is blamed and driven over its own crash cap.
 */
export class Slots {
  #active = 0;
  #occupied = false;
  #closed = false;
  readonly #waiting: Waiter[] = [];

  constructor(private readonly limit: number) {}

  get active(): number {
    return this.#active;
  }

  /** In order of asking; null when the slots were closed meanwhile. */
  acquire(alone: boolean): Promise<Slot | null> {
    if (this.#closed) return Promise.resolve(null);
    return new Promise((grant) => {
      this.#waiting.push({ alone, impatient: false, timer: undefined, grant });
      this.#pump();
    });
  }

  /** Grants nothing more. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiting.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.grant(null);
    }
  }

  #pump(): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      if (this.#occupied || this.#active >= this.limit) return;
      if (head.alone && this.#active > 0 && !head.impatient) {
        this.#beImpatientLater(head);
        return;
      }
      this.#waiting.shift();
      clearTimeout(head.timer);
      this.#start(head);
    }
  }

  #beImpatientLater(waiter: Waiter): void {
    waiter.timer ??= setTimeout(() => {
      waiter.impatient = true;
      this.#pump();
    }, ALONE_MS);
  }

  #start(waiter: Waiter): void {
    let released = false;
    let timer: NodeJS.Timeout | undefined;
    let alone = waiter.alone;
    const share = (): void => {
      if (!alone) return;
      alone = false;
      clearTimeout(timer);
      this.#occupied = false;
      this.#pump();
    };
    if (alone) {
      this.#occupied = true;
      timer = setTimeout(share, ALONE_MS);
    }
    this.#active += 1;
    waiter.grant({
      share,
      release: () => {
        if (released) return;
        released = true;
        this.#active -= 1;
        share();
        this.#pump();
      },
    });
  }
}
