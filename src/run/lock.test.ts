import { connect } from 'node:net';
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { acquireLock, type HeldLock, type LockOptions, lockedBy } from './lock.js';

const lockName = (): string => `memt-test/${randomUUID()}`;

async function held(options: LockOptions): Promise<HeldLock> {
  const result = await acquireLock(options);
  if (result.kind !== 'held') throw new Error(`not held: ${result.kind}`);
  return result.lock;
}

describe('the project lock', () => {
  it('is held by one', async () => {
    const name = lockName();
    const lock = await held({ name, verb: 'up', waitMs: 0 });
    const second = await acquireLock({ name, verb: 'up', waitMs: 50 });
    expect(second).toMatchObject({ kind: 'timeout', holder: { verb: 'up', pid: process.pid } });
    await lock.release(null);
  });

  it('goes to a waiter, with the outcome of the holder', async () => {
    const name = lockName();
    const lock = await held({ name, verb: 'up', waitMs: 0 });
    const told = new Promise<string>((resolve) => {
      void acquireLock({ name, verb: 'up', waitMs: 5000, onWait: (holder) => resolve(holder.verb) }).then(
        async (result) => {
          expect(result).toMatchObject({ kind: 'held', before: { outcome: { kind: 'port-taken' } } });
          if (result.kind === 'held') await result.lock.release(null);
        },
      );
    });
    expect(await told).toBe('up');
    await lock.release({ kind: 'port-taken', what: 'x' });
  });

  it('lets ten take turns, one at a time', async () => {
    const name = lockName();
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const lock = await held({ name, verb: 'up', waitMs: 10_000 });
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
        await lock.release(null);
      }),
    );
    expect(most).toBe(1);
  });

  it('passes a request to give up on to the holder', async () => {
    const name = lockName();
    const cancelled = new Promise<void>((resolve) => {
      void held({ name, verb: 'up', waitMs: 0, onCancel: resolve }).then((lock) =>
        cancelled.then(() => lock.release(null)),
      );
    });
    const down = await held({ name, verb: 'down', waitMs: 5000, cancelHolder: true });
    await cancelled;
    await down.release(null);
  });

  it('ends a wait when it is aborted', async () => {
    const name = lockName();
    const lock = await held({ name, verb: 'up', waitMs: 0 });
    const abort = new AbortController();
    const waiting = acquireLock({
      name,
      verb: 'up',
      waitMs: 5000,
      signal: abort.signal,
      onWait: () => abort.abort(new Error('enough')),
    });
    await expect(waiting).rejects.toThrow('enough');
    await lock.release(null);
  });

  it('does not wait for a waiter that is stopped and never closes its end', async () => {
    const name = lockName();
    const lock = await held({ name, verb: 'up', waitMs: 0 });
    const stopped = connect({ path: `\0${name}`, allowHalfOpen: true });
    await new Promise((resolve) => stopped.once('data', resolve));
    const started = performance.now();
    await lock.release(null);
    expect(performance.now() - started).toBeLessThan(2000);
    stopped.destroy();
  });

  it('says who holds it', async () => {
    const name = lockName();
    expect(await lockedBy(name)).toBeNull();
    const lock = await held({ name, verb: 'down', waitMs: 0 });
    expect(await lockedBy(name)).toBe('down');
    await lock.release(null);
    expect(await lockedBy(name)).toBeNull();
  });
});
