import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/** A request handler as node:http knows it; a returned promise is awaited for its error. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;
/** The Web's request handler: Hono, itty-router, `export default { fetch }`. */
export type FetchHandler = (request: Request) => Response | Promise<Response>;

interface Fastify {
  readonly server: Server;
  ready(): PromiseLike<unknown>;
  close(): PromiseLike<unknown>;
}

/** An export that memt knows how to serve. */
export type Application =
  | { readonly kind: 'handler'; readonly handler: Handler }
  | { readonly kind: 'koa'; readonly callback: () => Handler }
  | { readonly kind: 'fastify'; readonly app: Fastify }
  | { readonly kind: 'fetch'; readonly fetch: FetchHandler }
  | { readonly kind: 'server'; readonly server: Server };

/** What a module may export, for messages. */
export const ACCEPTED =
  'a (req, res) function, an Express, Koa or Fastify application, an object with fetch(request), or an http.Server';

/** Names that are looked at when the config names no export, in this order. */
const USUAL_NAMES = ['default', 'app', 'handler', 'server'] as const;

/** A value as an application, or undefined. Pure: it only looks. */
export function recognise(value: unknown): Application | undefined {
  if (typeof value === 'function') {
    return isClass(value) ? undefined : { kind: 'handler', handler: value as Handler };
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const has = (name: string): boolean => typeof (value as Record<string, unknown>)[name] === 'function';
  if (has('ready') && has('close') && has('inject') && isServer((value as Record<string, unknown>)['server'])) {
    return { kind: 'fastify', app: value as Fastify };
  }
  if (isServer(value)) return { kind: 'server', server: value };
  if (has('callback') && has('use')) {
    const koa = value as { callback(): Handler };
    return { kind: 'koa', callback: () => koa.callback() };
  }
  if (has('fetch')) {
    const app = value as { fetch: FetchHandler };
    return { kind: 'fetch', fetch: (request) => app.fetch(request) };
  }
  return undefined;
}

export type Choice =
  | { readonly found: true; readonly name: string; readonly value: unknown }
  /** `exports` describes what is there instead, for the message. */
  | { readonly found: false; readonly exports: readonly string[] };

/**
 * The export that is the application: the named one, else `default`, `app`, `handler` or `server`, also inside a CommonJS
 * module's exports. Promises count as found when they are named or the default: what they give is judged later.
 */
export function chooseExport(module: Readonly<Record<string, unknown>>, exportName: string | null): Choice {
  const inner = asRecord(module['default']);
  const names = exportName === null ? USUAL_NAMES : [exportName];
  for (const source of [module, inner]) {
    for (const name of names) {
      const value = source?.[name];
      if (isThenable(value) || recognise(value)) return { found: true, name, value };
    }
  }
  return { found: false, exports: describeExports(module, inner) };
}

/** `default (an object with keys a, b)`, `port (a number)`, … */
function describeExports(
  module: Readonly<Record<string, unknown>>,
  inner: Readonly<Record<string, unknown>> | undefined,
): string[] {
  const names = Object.keys(module).filter((name) => name !== 'module.exports' && name !== '__esModule');
  const described = names.filter((name) => name === 'default' || inner?.[name] === undefined);
  return described.map((name) => `${name} (${describe(module[name])})`);
}

/** `a number`, `a class`, `an object with keys a, b`: what a value is, in words. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return isClass(value) ? 'a class' : 'a function';
  if (typeof value !== 'object') return `a ${typeof value}`;
  if (Array.isArray(value)) return 'an array';
  const keys = Object.keys(value);
  if (keys.length === 0) return 'an empty object';
  return `an object with ${keys.length === 1 ? 'key' : 'keys'} ${keys.slice(0, 6).join(', ')}${keys.length > 6 ? ', …' : ''}`;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

function isClass(value: object): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

/** By shape, not by class: a server may come from another realm, from https or from a wrapper. */
function isServer(value: unknown): value is Server {
  if (typeof value !== 'object' || value === null) return false;
  return ['listen', 'close', 'on', 'emit', 'address'].every(
    (name) => typeof (value as Record<string, unknown>)[name] === 'function',
  );
}
