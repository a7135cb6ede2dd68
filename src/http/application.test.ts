import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { chooseExport, describe as inWords, recognise } from './application.js';

const handler = (): void => undefined;
const fastify = { ready: handler, close: handler, inject: handler, server: createServer() };

describe('recognise', () => {
  const table: readonly (readonly [string, unknown, string | undefined])[] = [
    ['a function', handler, 'handler'],
    [
      'a function with properties, as Express',
      Object.assign(() => undefined, { use: handler, listen: handler }),
      'handler',
    ],
    ['a bound function', handler.bind(null), 'handler'],
    ['Koa', { use: handler, callback: () => handler }, 'koa'],
    ['Fastify', fastify, 'fastify'],
    ['a fetch object', { fetch: handler }, 'fetch'],
    ['a fetch object with other things', { port: 1, fetch: handler }, 'fetch'],
    ['an http.Server', createServer(), 'server'],
    [
      'a class',
      class {
        readonly a = 1;
      },
      undefined,
    ],
    ['nothing', undefined, undefined],
    ['null', null, undefined],
    ['a number', 1, undefined],
    ['a string', 'app', undefined],
    ['an array', [handler], undefined],
    ['an empty object', {}, undefined],
    ['fetch that is no function', { fetch: 'https://example.org' }, undefined],
    ['half a Koa', { callback: handler }, undefined],
    ['half a server', { listen: handler, close: handler }, undefined],
  ];
  it.each(table)('%s', (_name, value, kind) => {
    expect(recognise(value)?.kind).toBe(kind);
  });

  it('keeps `this` of a fetch method', () => {
    const app = {
      text: 'mine',
      fetch(): Response {
        return new Response(this.text);
      },
    };
    const found = recognise(app);
    if (found?.kind !== 'fetch') throw new Error('not recognised');
    const fetch = found.fetch;
    return expect((fetch(new Request('http://a/')) as Response).text()).resolves.toBe('mine');
  });
});

describe('chooseExport', () => {
  const table: readonly (readonly [string, Record<string, unknown>, string | null, string | undefined])[] = [
    ['default first', { default: handler, app: handler }, null, 'default'],
    ['app before handler and server', { server: handler, handler, app: handler }, null, 'app'],
    ['past a default that is none', { default: 7, handler }, null, 'handler'],
    ['inside a CommonJS default', { default: { app: handler } }, null, 'app'],
    ['a transpiled default', { default: { __esModule: true, default: handler } }, null, 'default'],
    ['the named one only', { default: handler, admin: handler }, 'admin', 'admin'],
    ['a named one inside CommonJS', { default: { admin: handler } }, 'admin', 'admin'],
    ['no other than the named one', { default: handler }, 'admin', undefined],
    ['a promise', { default: Promise.resolve(handler) }, null, 'default'],
    ['nothing usual', { start: handler }, null, undefined],
    ['an empty module', {}, null, undefined],
    ['a default of null', { default: null }, null, undefined],
  ];
  it.each(table)('%s', (_name, module, exportName, expected) => {
    const choice = chooseExport(module, exportName);
    expect(choice.found ? choice.name : undefined).toBe(expected);
  });

  it('describes what is there instead, without what Node adds', () => {
    const choice = chooseExport({ default: { a: 1, b: 2 }, a: 1, 'module.exports': {}, start: handler }, null);
    expect(choice).toEqual({ found: false, exports: ['default (an object with keys a, b)', 'start (a function)'] });
  });
});

it.each([
  [undefined, 'undefined'],
  [null, 'null'],
  ['x', 'a string'],
  [handler, 'a function'],
  [
    class {
      readonly a = 1;
    },
    'a class',
  ],
  [[], 'an array'],
  [{}, 'an empty object'],
  [{ a: 1 }, 'an object with key a'],
  [{ a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1 }, 'an object with keys a, b, c, d, e, f, …'],
])('%j is %s', (value, words) => {
  expect(inWords(value)).toBe(words);
});
