import type { FailureError } from '../model/failure.js';

interface Waiter {
  readonly sequence: number;
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: FailureError): void;
}

/** Promises that wait for a sequence number to be reached, in ascending order; those for the same number share one. */
export class Waiters {
  private list: Waiter[] = [];

  /** The lowest number somebody waits for. */
  get next(): number | undefined {
    return this.list[0]?.sequence;
  }

  wait(sequence: number): Promise<void> {
    const last = this.list.at(-1);
    if (last?.sequence === sequence) return last.promise;
    let resolve!: () => void;
    let reject!: (error: FailureError) => void;
    const promise = new Promise<void>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    // An owner that asks and walks away must not end the process as an unhandled rejection.
    promise.catch(() => undefined);
    this.list.push({ sequence, promise, resolve, reject });
    return promise;
  }

  reached(sequence: number): void {
    let count = 0;
    while (count < this.list.length && (this.list[count]?.sequence ?? Infinity) <= sequence) count += 1;
    for (const waiter of this.list.splice(0, count)) waiter.resolve();
  }

  fail(error: FailureError): void {
    for (const waiter of this.list.splice(0)) waiter.reject(error);
  }
}
