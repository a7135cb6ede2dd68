import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Slots, type Slot } from './slots.js';

describe('Slots', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  /** What has been granted so far, by name. */
  function ask(slots: Slots, requests: Record<string, boolean>) {
    const granted = new Map<string, Slot | null>();
    for (const [name, alone] of Object.entries(requests)) {
      void slots.acquire(alone).then((slot) => granted.set(name, slot));
    }
    return {
      names: async () => {
        await vi.advanceTimersByTimeAsync(0);
        return [...granted.keys()];
      },
      slot: (name: string) => granted.get(name)!,
      granted,
    };
  }

  it('grants up to the limit, then in order of asking', async () => {
    const asked = ask(new Slots(2), { a: false, b: false, c: false, d: false });
    expect(await asked.names()).toEqual(['a', 'b']);
    asked.slot('b').release();
    asked.slot('b').release();
    expect(await asked.names()).toEqual(['a', 'b', 'c']);
  });

  it('lets a suspect start alone, and the others when it has ended', async () => {
    const asked = ask(new Slots(4), { a: false, suspect: true, b: false });
    expect(await asked.names()).toEqual(['a']);
    asked.slot('a').release();
    expect(await asked.names()).toEqual(['a', 'suspect']);
    asked.slot('suspect').release();
    expect(await asked.names()).toEqual(['a', 'suspect', 'b']);
  });

  it('lets the others start when a suspect turns out to be none', async () => {
    const asked = ask(new Slots(4), { suspect: true, second: true, b: false });
    expect(await asked.names()).toEqual(['suspect']);
    asked.slot('suspect').share();
    expect(await asked.names()).toEqual(['suspect']);
    asked.slot('suspect').release();
    expect(await asked.names()).toEqual(['suspect', 'second']);
  });

  it('waits for nobody longer than five seconds', async () => {
    const asked = ask(new Slots(4), { slow: false, suspect: true, b: false });
    expect(await asked.names()).toEqual(['slow']);
    await vi.advanceTimersByTimeAsync(5000);
    expect(await asked.names()).toEqual(['slow', 'suspect']);
    await vi.advanceTimersByTimeAsync(5000);
    expect(await asked.names()).toEqual(['slow', 'suspect', 'b']);
  });

  it('grants nothing once closed', async () => {
    const slots = new Slots(1);
    const asked = ask(slots, { a: false, b: false, suspect: true });
    await asked.names();
    slots.close();
    await asked.names();
    expect(asked.granted.get('b')).toBeNull();
    expect(asked.granted.get('suspect')).toBeNull();
    expect(await slots.acquire(false)).toBeNull();
    asked.slot('a').release();
    expect(slots.active).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
