/** A queue open at both ends, on a ring that grows and shrinks. */
export class Deque<T> {
  private ring: (T | undefined)[] = new Array<T | undefined>(16);
  private head = 0;
  private count = 0;

  get length(): number {
    return this.count;
  }

  push(value: T): void {
    if (this.count === this.ring.length) this.resize(this.count * 2);
    this.ring[(this.head + this.count) & (this.ring.length - 1)] = value;
    this.count += 1;
  }

  unshift(value: T): void {
    if (this.count === this.ring.length) this.resize(this.count * 2);
    this.head = (this.head - 1) & (this.ring.length - 1);
    this.ring[this.head] = value;
    this.count += 1;
  }

  peek(): T | undefined {
    return this.count === 0 ? undefined : this.ring[this.head];
  }

  shift(): T | undefined {
    if (this.count === 0) return undefined;
    const value = this.ring[this.head];
    this.ring[this.head] = undefined;
    this.head = (this.head + 1) & (this.ring.length - 1);
    this.count -= 1;
    if (this.ring.length > 1024 && this.count * 4 < this.ring.length) this.resize(this.ring.length / 2);
    return value;
  }

  /** Puts `value` before the first element for which `isAfter` holds, in a deque sorted that way; near the head this is cheap. */
  insert(value: T, isAfter: (other: T) => boolean): void {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isAfter(this.at(middle))) high = middle;
      else low = middle + 1;
    }
    if (low === this.count) {
      this.push(value);
      return;
    }
    this.unshift(value);
    const mask = this.ring.length - 1;
    for (let at = 0; at < low; at += 1) this.ring[(this.head + at) & mask] = this.ring[(this.head + at + 1) & mask];
    this.ring[(this.head + low) & mask] = value;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let index = 0; index < this.count; index += 1) yield this.at(index);
  }

  private at(index: number): T {
    return this.ring[(this.head + index) & (this.ring.length - 1)] as T;
  }

  private resize(size: number): void {
    const next = new Array<T | undefined>(size);
    for (let index = 0; index < this.count; index += 1) next[index] = this.at(index);
    this.ring = next;
    this.head = 0;
  }
}
