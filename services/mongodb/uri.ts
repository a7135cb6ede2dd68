import type { Endpoint } from '../../src/ports/engine.js';

const PORT = 27017;

/** The parts of a MongoDB URI, several hosts and mongodb+srv included. @throws TypeError when it is none */
export function endpointOfUri(uri: string): Endpoint {
  const match = /^mongodb(\+srv)?:\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(uri);
  if (!match) throw new TypeError('not a MongoDB URI');
  const [, plus, login, hosts = '', database = '', query = ''] = match;
  const srv = plus !== undefined;
  const options = new URLSearchParams(query);
  const [first, ...others] = hosts.split(',').map(member);
  if (first === undefined) throw new TypeError('a MongoDB URI without a host');
  const [user, password] = (login ?? '').split(':').map(decodeURIComponent);
  const tls = options.get('tls') ?? options.get('ssl');
  return {
    ...first,
    srv,
    tls: tls === null ? srv : tls === 'true',
    others,
    ...(user === undefined || user === '' ? {} : { user, password: password ?? '' }),
    authSource: options.get('authSource') ?? (database === '' ? 'admin' : decodeURIComponent(database)),
  };
}

function member(text: string): { host: string; port: number } {
  const match = /^\[?(.+?)\]?(?::(\d+))?$/.exec(text.includes(']') || text.split(':').length <= 2 ? text : `[${text}]`);
  return { host: match?.[1] ?? text, port: Number(match?.[2] ?? PORT) };
}

/** `mongodb://host:port/database`; an IPv6 host in brackets. */
export function uriOf({ host, port }: Endpoint, database: string): string {
  return `mongodb://${host.includes(':') ? `[${host}]` : host}:${port}/${encodeURIComponent(database)}`;
}
