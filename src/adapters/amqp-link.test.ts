import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Link, type LinkEvents } from './amqp-link.js';

/** A link over sessions that the test opens, refuses and kills. */
function rig() {
  const attempts: { events: LinkEvents; open: () => string; refuse: (why: string) => void }[] = [];
  const discarded: string[] = [];
  const ups: string[] = [];
  const downs: string[] = [];
  const link = new Link<string>({
    open: (events) =>
      new Promise((resolve, reject) => {
        const name = `session ${attempts.length + 1}`;
        attempts.push({
          events,
          open: () => {
            resolve(name);
            return name;
          },
          refuse: (why) => reject(new Error(why)),
        });
      }),
    discard: (session) => void discarded.push(session),
    onUp: (session) => void ups.push(session),
    onDown: (reason) => void downs.push(reason),
  });
  return { link, attempts, discarded, ups, downs };
}

describe('Link', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());
  const settle = () => vi.advanceTimersByTimeAsync(0);

  it('opens nothing until it is needed, and then once', async () => {
    const { link, attempts, ups } = rig();
    expect(attempts).toHaveLength(0);
    link.kick();
    link.kick();
    expect(attempts).toHaveLength(1);
    attempts[0]!.open();
    await settle();
    expect(ups).toEqual(['session 1']);
    expect(link.session).toBe('session 1');
    expect(link.reason).toBeNull();
    link.close();
  });

  it('is never up with a session that died while it was being opened', async () => {
    const { link, attempts, ups, downs, discarded } = rig();
    link.kick();
    attempts[0]!.events.lost(new Error('cut during setup'));
    attempts[0]!.open();
    await settle();
    expect(ups).toEqual([]);
    expect(discarded).toEqual(['session 1']);
    expect(downs).toEqual(['cut during setup']);
    await vi.advanceTimersByTimeAsync(1000);
    expect(attempts).toHaveLength(2);
    link.close();
  });

  it('tries again at most a second apart for as long as it takes, and hides passwords', async () => {
    const { link, attempts } = rig();
    link.kick();
    for (let round = 1; round <= 20; round += 1) {
      expect(attempts).toHaveLength(round);
      attempts[round - 1]!.refuse('no route to amqp://ana:secret@host/');
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(link.reason).toBe('no route to amqp://ana:***@host/');
    expect(link.downMs).toBeGreaterThanOrEqual(20_000);
    link.close();
  });

  it('opens another session when the current one is lost, whoever says so how often', async () => {
    const { link, attempts, downs, discarded } = rig();
    link.kick();
    const first = attempts[0]!.open();
    await settle();
    attempts[0]!.events.lost(new Error('gone'));
    attempts[0]!.events.lost(new Error('gone again'));
    link.fail(first, new Error('and again'));
    expect(downs).toEqual(['gone']);
    expect(discarded).toEqual(['session 1']);
    await vi.advanceTimersByTimeAsync(1000);
    expect(attempts).toHaveLength(2);
    attempts[1]!.open();
    await settle();
    attempts[0]!.events.lost(new Error('late news'));
    expect(link.session).toBe('session 2');
    link.close();
  });

  it('discards what opens after it was closed, and keeps no timer', async () => {
    const { link, attempts, discarded, ups } = rig();
    link.kick();
    link.close();
    attempts[0]!.open();
    await settle();
    expect(discarded).toEqual(['session 1']);
    expect(ups).toEqual([]);
    link.kick();
    expect(attempts).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not wait for the backoff when somebody needs it', async () => {
    const { link, attempts } = rig();
    link.kick();
    for (let round = 0; round < 8; round += 1) {
      attempts.at(-1)!.refuse('away');
      await vi.advanceTimersByTimeAsync(1000);
    }
    attempts.at(-1)!.refuse('away');
    await settle();
    const before = attempts.length;
    link.kick();
    expect(attempts).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(100);
    link.kick();
    expect(attempts).toHaveLength(before + 1);
    link.close();
  });
});
