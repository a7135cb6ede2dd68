import type { LogRecord } from '../model/record.js';

interface Head {
  readonly record: LogRecord;
  readonly index: number;
  readonly rest: Iterator<LogRecord>;
}

/**
 * Merges streams that are each ordered by time. Equal times keep the order of the streams; within `newest-first` that order is
 * reversed, so that reversing the result gives what `oldest-first` would have given.
 */
export function* mergeByTime(
  streams: readonly Iterable<LogRecord>[],
  order: 'oldest-first' | 'newest-first',
): Generator<LogRecord> {
  const sign = order === 'oldest-first' ? 1 : -1;
  const isBefore = (a: Head, b: Head): boolean =>
    a.record.time === b.record.time ? (a.index - b.index) * sign < 0 : a.record.time < b.record.time === (sign === 1);
  const heap: Head[] = [];
  const iterators = streams.map((stream) => stream[Symbol.iterator]());
  try {
    for (const [index, rest] of iterators.entries()) {
      const first = rest.next();
      if (first.done !== true) pushUp(heap, { record: first.value, index, rest }, isBefore);
    }
    for (let top = heap[0]; top !== undefined; top = heap[0]) {
      yield top.record;
      const next = top.rest.next();
      if (next.done === true) {
        const last = heap.pop();
        if (last !== undefined && heap.length > 0) siftDown(heap, last, isBefore);
      } else {
        siftDown(heap, { record: next.value, index: top.index, rest: top.rest }, isBefore);
      }
    }
  } finally {
    // Generators hold open files until they are told that nobody wants more.
    for (const iterator of iterators) iterator.return?.();
  }
}

type Before = (a: Head, b: Head) => boolean;

function pushUp(heap: Head[], head: Head, isBefore: Before): void {
  let at = heap.length;
  heap.push(head);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(head, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = head;
}

/** Puts `head` in the place of the root. */
function siftDown(heap: Head[], head: Head, isBefore: Before): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    let below = heap[child];
    const right = heap[child + 1];
    if (below !== undefined && right !== undefined && isBefore(right, below)) {
      below = right;
      child += 1;
    }
    if (below === undefined || !isBefore(below, head)) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = head;
}
