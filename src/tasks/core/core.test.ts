import { describe, expect, it } from 'vitest';
import { compileTask } from './definition.js';
import { decode, encode, isId } from './envelope.js';
import { storedError } from './errors.js';
import { DEFAULT_RETRY, retryDelay } from './retry.js';
import { LADDER_LEVELS, MAX_DELAY_MS, routeTo, topologyOf } from './topology.js';

describe('retryDelay', () => {
  const policy = { ...DEFAULT_RETRY, minMs: 100, maxMs: 1000, jitter: 'none' } as const;
  it.each([
    ['exponential', 1, 0.5, 100],
    ['exponential', 2, 0.5, 200],
    ['exponential', 4, 0.5, 800],
    ['exponential', 5, 0.5, 1000],
    ['exponential', 5000, 0.5, 1000],
    ['fixed', 7, 0.5, 100],
  ] as const)('%s, after %d failures', (backoff, failed, random, expected) => {
    expect(retryDelay({ ...policy, backoff }, failed, random)).toBe(expected);
  });
  it('spreads over the whole delay with full jitter, and stays on the ladder', () => {
    expect(retryDelay({ ...policy, jitter: 'full' }, 2, 0)).toBe(0);
    expect(retryDelay({ ...policy, jitter: 'full' }, 2, 0.999)).toBe(200);
    expect(retryDelay({ ...policy, minMs: 1e12, maxMs: 1e12 }, 1, 0.5)).toBe(MAX_DELAY_MS);
  });
});

describe('the ladder', () => {
  /** Follows a message through exchanges and queues as a broker would; the ms that it spends in queues. */
  function travel(delayMs: number): { ms: number; queue: string } {
    const topology = topologyOf('ns', ['default', '1']);
    const { exchange: start, key } = routeTo('ns', 'default', delayMs);
    let exchange = start;
    let ms = 0;
    for (;;) {
      if (exchange === '') return { ms, queue: key };
      const matches = topology.bindings.filter((one) => one.source === exchange && topicMatches(one.key, key));
      expect(matches).toHaveLength(1);
      const next = matches[0]!;
      if (next.to === 'exchange') {
        exchange = next.destination;
        continue;
      }
      const queue = topology.queues.find((one) => one.name === next.destination)!;
      const ttl = queue.args['x-message-ttl'];
      if (ttl === undefined) return { ms, queue: queue.name };
      ms += Number(ttl);
      exchange = String(queue.args['x-dead-letter-exchange']);
    }
  }
  function topicMatches(pattern: string, key: string): boolean {
    const words = pattern.split('.').map((word) => (word === '#' ? '.*' : word === '*' ? '[^.]+' : word));
    return new RegExp(`^${words.join('\\.')}$`.replace('\\..*$', '(\\..*)?$').replace('^.*\\.', '^(.*\\.)?')).test(key);
  }
  it.each([0, 1, 999, 1000, 1001, 5000, 77_000, 2_048_000, MAX_DELAY_MS, MAX_DELAY_MS + 1e9])(
    'holds %d ms',
    (delayMs) => {
      const { ms, queue } = travel(delayMs);
      expect(queue).toBe('memt.v1.ns.default');
      const wanted = Math.min(delayMs, MAX_DELAY_MS);
      expect(ms).toBeGreaterThanOrEqual(wanted);
      expect(ms).toBeLessThan(wanted + 1000);
    },
  );
  it('has one queue for every power of two', () => {
    const holding = topologyOf('ns', []).queues.map((queue) => queue.args['x-message-ttl']);
    expect(holding).toEqual(Array.from({ length: LADDER_LEVELS }, (_, level) => 1000 * 2 ** level));
  });
});

describe('the envelope', () => {
  const envelope = { id: 'i', task: 't', attempt: 3, enqueuedAt: 5, body: Buffer.from('{"a":1}') };
  it('comes back as it went', () => {
    expect(decode(encode(envelope))).toEqual({ ok: true, envelope, input: { a: 1 } });
  });
  it('accepts a foreign message with an id, a type and a JSON body', () => {
    const message = { id: 'i', type: 't', contentType: null, headers: {}, body: Buffer.from('null') };
    expect(decode(message)).toMatchObject({ ok: true, envelope: { attempt: 1 }, input: null });
  });
  it.each([
    [{ id: null }, 'no message id'],
    [{ id: 'x'.repeat(201) }, 'no message id'],
    [{ id: 'new\nline' }, 'no message id'],
    [{ type: null }, 'no task name'],
    [{ headers: { 'memt-schema': 2 } }, 'envelope version 2, this worker knows 1'],
    [{ headers: { 'memt-attempt': 0 } }, 'attempt 0 is no count'],
    [{ headers: { 'memt-attempt': 1.5 } }, 'attempt 1.5'],
    [{ headers: { 'memt-attempt': { deep: true } } }, 'attempt {"deep":true}'],
    [{ body: Buffer.from('') }, 'not JSON'],
    [{ body: Buffer.from([0xff, 0xfe]) }, 'not JSON'],
  ])('refuses %j', (wrong, reason) => {
    const decoded = decode({ ...encode(envelope), ...wrong });
    expect(decoded).toMatchObject({ ok: false, reason: expect.stringContaining(reason) as string });
  });
  it('measures ids in bytes, as AMQP does', () => {
    expect(isId('ä'.repeat(100))).toBe(true);
    expect(isId('ä'.repeat(101))).toBe(false);
  });
});

describe('task options', () => {
  const noop = (): null => null;
  it('have defaults', () => {
    expect(compileTask('a.b', {}, noop)).toMatchObject({
      queue: 'default',
      retry: { maxAttempts: 5, minMs: 1000, maxMs: 600_000, backoff: 'exponential', jitter: 'full' },
      softMs: null,
      hardMs: null,
      resultTtlMs: 86_400_000,
      maxCrashes: 3,
    });
  });
  it('understand durations', () => {
    const options = { retry: { min: '2s', max: 1 }, timeLimit: '30s', resultTtl: '1h' } as const;
    expect(compileTask('a', options, noop)).toMatchObject({
      retry: { minMs: 2000, maxMs: 2000 },
      softMs: 30_000,
      hardMs: 40_000,
      resultTtlMs: 3_600_000,
    });
    expect(compileTask('a', { timeLimit: { hard: 5 } }, noop)).toMatchObject({ softMs: null, hardMs: 5 });
  });
  it.each([
    [{ queue: 'a.b' }, 'queue "a.b"'],
    [{ queue: '' }, 'queue ""'],
    [{ retry: { maxAttempts: 0 } }, 'retry.maxAttempts'],
    [{ retry: { min: 'soon' } }, 'retry.min is no duration: "soon"'],
    [{ timeLimit: { soft: '2s', hard: '1s' } }, 'the hard time limit is below the soft one'],
    [{ input: {} }, 'Standard Schema'],
    [{ input: null }, 'Standard Schema'],
    [{ maxCrashes: Number.NaN }, 'maxCrashes'],
  ])('refuse %j by name', (options, message) => {
    expect(() => compileTask('t', options as never, noop)).toThrow(message);
  });
  it.each(['', '.x', 'with space', 'x'.repeat(129), 'a\n'])('refuse the name %j', (name) => {
    expect(() => compileTask(name, {}, noop)).toThrow('a name is up to 128');
  });
});

describe('storedError', () => {
  const loop: Record<string, unknown> = {};
  loop['loop'] = loop;
  it.each([
    [new TypeError('no'), 'TypeError', 'no'],
    ['text', 'Error', 'text'],
    [undefined, 'Error', 'undefined'],
    [null, 'Error', 'null'],
    [{ code: 7 }, 'Error', '{"code":7}'],
    [loop, 'Error', 'a object that cannot be shown'],
    [Object.assign(new Error('x'), { name: 5, message: { a: 1 } }), '5', '{"a":1}'],
    [new Error('x'.repeat(20_000)), 'Error', 'x'.repeat(16_384)],
  ])('keeps what was thrown (%#)', (thrown, name, message) => {
    expect(storedError(thrown)).toMatchObject({ name, message });
  });
});
