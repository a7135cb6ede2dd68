const CHUNK = 512;

/** A sorted list in chunks: insertion and removal move at most one chunk, so a million entries stay quick. */
export class SortedList<T> {
  private readonly chunks: T[][] = [];
  private count = 0;

  constructor(private readonly compare: (a: T, b: T) => number) {}

  get size(): number {
    return this.count;
  }

  add(item: T): void {
    this.count += 1;
    const last = this.chunks.at(-1);
    if (last === undefined) {
      this.chunks.push([item]);
      return;
    }
    const tail = last.at(-1);
    // Most keys arrive in ascending order.
    const at =
      tail !== undefined && this.compare(tail, item) <= 0
        ? this.chunks.length - 1
        : this.chunkAt((entry) => this.compare(entry, item));
    const chunk = this.chunks[at] ?? last;
    chunk.splice(
      firstIn(chunk, (entry) => this.compare(entry, item)),
      0,
      item,
    );
    if (chunk.length > CHUNK * 2) {
      // A full last chunk is left full: ascending keys never come back to it.
      const keep = chunk === last ? CHUNK * 2 : CHUNK;
      this.chunks.splice(at + 1, 0, chunk.splice(keep));
    }
  }

  remove(item: T): void {
    const at = this.chunkAt((entry) => this.compare(entry, item));
    const chunk = this.chunks[at];
    if (!chunk) return;
    const index = firstIn(chunk, (entry) => this.compare(entry, item));
    const found = chunk[index];
    if (found === undefined || this.compare(found, item) !== 0) return;
    chunk.splice(index, 1);
    this.count -= 1;
    if (chunk.length === 0) this.chunks.splice(at, 1);
  }

  /** Entries in order from the first for which `position` is not negative. `position` must never fall along the order. */
  *from(position: (item: T) => number): Generator<T> {
    let at = this.chunkAt(position);
    const first = this.chunks[at];
    if (!first) return;
    let index = firstIn(first, position);
    for (let chunk = this.chunks[at]; chunk; chunk = this.chunks[at]) {
      for (; index < chunk.length; index += 1) yield chunk[index] as T;
      index = 0;
      at += 1;
    }
  }

  /** Entries in falling order, from the last for which `position` is not positive. */
  *backFrom(position: (item: T) => number): Generator<T> {
    const after = (item: T): number => (position(item) > 0 ? 0 : -1);
    let at = this.chunkAt(after);
    let chunk = this.chunks[at];
    let index = (chunk ? firstIn(chunk, after) : 0) - 1;
    if (!chunk || index < 0) {
      at -= 1;
      chunk = this.chunks[at];
      index = (chunk?.length ?? 0) - 1;
    }
    while (chunk) {
      for (; index >= 0; index -= 1) yield chunk[index] as T;
      at -= 1;
      chunk = this.chunks[at];
      index = (chunk?.length ?? 0) - 1;
    }
  }

  /** The first chunk whose last entry is not before the position. */
  private chunkAt(position: (item: T) => number): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const last = this.chunks[middle]?.at(-1);
      if (last !== undefined && position(last) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function firstIn<T>(chunk: readonly T[], position: (item: T) => number): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (position(chunk[middle] as T) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
