import { Deque } from './deque.js';
import { bodyLength, type Entry } from './message.js';

interface Level {
  /** Messages that came back, before the fresh ones. */
  readonly returned: Deque<Entry>;
  readonly fresh: Deque<Entry>;
}

/** The ready messages of a queue: one level per priority, each in order. */
export class Lanes {
  /** Messages. */
  count = 0;
  /** Bytes of their bodies. */
  bytes = 0;
  private readonly levels: Level[];

  constructor(maxPriority: number) {
    this.levels = Array.from({ length: maxPriority + 1 }, () => ({
      returned: new Deque<Entry>(),
      fresh: new Deque<Entry>(),
    }));
  }

  push(entry: Entry): void {
    this.level(entry).fresh.push(entry);
    this.add(entry, 1);
  }

  /** Takes a message back: to its old place, or behind those that came back before it. */
  giveBack(entry: Entry, place: 'old' | 'behind'): void {
    const { returned } = this.level(entry);
    if (place === 'behind') returned.push(entry);
    else returned.insert(entry, (other) => other.message.id > entry.message.id);
    this.add(entry, 1);
  }

  take(): Entry | undefined {
    for (let index = this.levels.length - 1; index >= 0; index -= 1) {
      const level = this.levels[index];
      const entry = level?.returned.shift() ?? level?.fresh.shift();
      if (!entry) continue;
      this.add(entry, -1);
      return entry;
    }
    return undefined;
  }

  /** Takes out what has expired and lies at a head: what waits behind a longer life is not looked at. */
  *expired(now: number): Generator<Entry> {
    for (const lane of this.lanes()) {
      for (let head = lane.peek(); head && head.expiresAt <= now; head = lane.peek()) {
        lane.shift();
        this.add(head, -1);
        yield head;
      }
    }
  }

  /** When the next head expires, in Unix ms; Infinity = never. */
  soonest(): number {
    let soonest = Infinity;
    for (const lane of this.lanes()) soonest = Math.min(soonest, lane.peek()?.expiresAt ?? Infinity);
    return soonest;
  }

  private *lanes(): Generator<Deque<Entry>> {
    for (const { returned, fresh } of this.levels) {
      yield returned;
      yield fresh;
    }
  }

  private level(entry: Entry): Level {
    const level = this.levels[Math.min(entry.message.priority, this.levels.length - 1)];
    if (!level) throw new Error('a queue has at least one level');
    return level;
  }

  private add(entry: Entry, sign: 1 | -1): void {
    this.count += sign;
    this.bytes += sign * bodyLength(entry.message);
  }
}
