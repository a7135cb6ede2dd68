import type { Endpoint } from '../../src/ports/engine.js';

const PORT = 5672;
const TLS_PORT = 5671;

/** `amqp://user:password@host:port/vhost`, every part percent-encoded; an IPv6 host in brackets. */
export function urlOf({ host, port, user = 'guest', password = 'guest', vhost = '/', tls = false }: Endpoint): string {
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  const at = host.includes(':') ? `[${host}]` : host;
  return `${tls ? 'amqps' : 'amqp'}://${login}@${at}:${port}/${encodeURIComponent(vhost)}`;
}

/** The parts of an AMQP URL: without a path the vhost is `/`, without a login it is guest. */
export function endpointOfUrl(text: string): Endpoint {
  const url = new URL(text);
  const tls = url.protocol === 'amqps:';
  const path = url.pathname.replace(/^\//, '');
  return {
    host: url.hostname.replace(/^\[|\]$/g, '') || 'localhost',
    port: url.port === '' ? (tls ? TLS_PORT : PORT) : Number(url.port),
    user: url.username === '' ? 'guest' : decodeURIComponent(url.username),
    password: url.username === '' && url.password === '' ? 'guest' : decodeURIComponent(url.password),
    vhost: path === '' ? '/' : decodeURIComponent(path),
    tls,
  };
}
