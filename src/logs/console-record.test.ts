import { describe, expect, it } from 'vitest';
import { consoleRecord } from './console-record.js';
import { stackOf, summaryOf } from './stack-of.js';
import { toJson } from './to-json.js';

describe('a console call', () => {
  it('formats like the console', () => {
    expect(consoleRecord('info', ['%s is %d', 'x', 3, { a: [1, 2n] }])).toEqual({
      level: 'info',
      text: 'x is 3 { a: [ 1, 2n ] }',
    });
    expect(consoleRecord('info', [])).toEqual({ level: 'info', text: '' });
  });
  it('takes the stack of an error, with causes', () => {
    const parsed = consoleRecord('error', ['failed:', new TypeError('no', { cause: new Error('why') })]);
    expect(parsed.text).toBe('failed: TypeError: no');
    expect(parsed.stack).toMatch(/^TypeError: no\n {4}at [^]*\nCaused by: Error: why\n {4}at /);
  });
  it('keeps what an error says beside its message', () => {
    const error = Object.assign(new Error('no'), { code: 'ECONNREFUSED', password: 'x', uri: 'amqp://ana:secret@h/v' });
    expect(consoleRecord('error', [error]).fields).toEqual({
      err: { code: 'ECONNREFUSED', password: '***', uri: 'amqp://ana:***@h/v' },
    });
  });
  it('sees the trace in a text', () => {
    const stack = new Error('no').stack ?? '';
    expect(consoleRecord('error', [stack])).toEqual({ level: 'error', text: 'Error: no', stack });
  });
  it('reads a logger that prints JSON through the console', () => {
    expect(consoleRecord('info', ['{"level":"error","message":"no"}'])).toMatchObject({ level: 'error', text: 'no' });
  });
  it("takes Node's own warnings for warnings", () => {
    expect(consoleRecord('error', ['(node:1) ExperimentalWarning: x']).level).toBe('warn');
  });
  it('hides passwords in URIs', () => {
    expect(consoleRecord('info', ['to mongodb://ana:secret@h/db']).text).toBe('to mongodb://ana:***@h/db');
  });
  it.each([
    ['an inspector that throws', { [Symbol.for('nodejs.util.inspect.custom')]: () => thrower() }],
    ['a getter that throws', Object.defineProperty({}, 'x', { get: thrower, enumerable: true })],
    ['a toString that throws', { toString: thrower, [Symbol.toPrimitive]: thrower }],
    ['a proxy that throws', new Proxy({}, { get: thrower, ownKeys: thrower, getPrototypeOf: () => null })],
    ['an error with a stack that throws', Object.defineProperty(new Error('x'), 'stack', { get: thrower })],
    ['an error with a message that throws', Object.defineProperty(new Error('x'), 'message', { get: thrower })],
    ['an error with a name that is no text', Object.assign(new Error('x'), { name: 3 })],
    ['a symbol', Symbol('x')],
    ['a cycle', cycle()],
    ['an array of a million', Array.from({ length: 1_000_000 }, () => 0)],
    ['an object without a prototype', Object.create(null)],
  ])('survives %s', (_name, value) => {
    expect(typeof consoleRecord('error', [value]).text).toBe('string');
    expect(typeof consoleRecord('error', ['%s %d %o', value, value, value]).text).toBe('string');
    expect(JSON.stringify(toJson(value))).toBeTypeOf('string');
    expect(typeof summaryOf(value)).toBe('string');
    expect(() => stackOf(value)).not.toThrow();
  });
});

function thrower(): never {
  throw new Error('hostile');
}

function cycle(): object {
  const value: Record<string, unknown> = { list: [] };
  value['self'] = value;
  (value['list'] as unknown[]).push(value);
  return value;
}

describe('any value as JSON', () => {
  it.each([
    [10n, '10'],
    [NaN, 'NaN'],
    [undefined, null],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Date(NaN), 'Invalid Date'],
    [new Map([['a', 1]]), { a: 1 }],
    [new Set([1, 2]), [1, 2]],
    [Buffer.alloc(3), '[Buffer 3 bytes]'],
    [new URL('http://a:b@h/'), 'http://a:***@h/'],
    [{ a: undefined, f: thrower, b: 1 }, { b: 1 }],
    [
      { token: 'x', apiKey: 'y', n: { password: 'z' } },
      { token: '***', apiKey: '***', n: { password: '***' } },
    ],
    [{ toJSON: () => ({ a: 1 }) }, { a: 1 }],
  ])('%s', (value, json) => expect(toJson(value)).toEqual(json));
  it('keeps a key named __proto__ a key', () => {
    const json = toJson(JSON.parse('{"__proto__":{"x":1}}'));
    expect(JSON.stringify(json)).toBe('{"__proto__":{"x":1}}');
  });
  it('cuts what is deep, long or large', () => {
    let deep: unknown = 1;
    for (let index = 0; index < 10_000; index += 1) deep = { deep };
    expect(JSON.stringify(toJson(deep)).length).toBeLessThan(200);
    expect(JSON.stringify(toJson('x'.repeat(1e6))).length).toBeLessThan(40_000);
    expect(JSON.stringify(toJson(Array.from({ length: 1e5 }, (_, index) => index))).length).toBeLessThan(2000);
  });
});
