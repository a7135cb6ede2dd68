import { request, type ClientRequest, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { codeOf } from '../util/errors.js';

/** What one HTTP request told: an answer of any status proves that the application answers. */
export type HttpProbe =
  | { readonly kind: 'answer'; readonly status: number }
  | { readonly kind: 'refused' }
  | { readonly kind: 'silent'; readonly ms: number }
  | { readonly kind: 'broken'; readonly reason: string };

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  /** The Host header, where it differs from the target. */
  readonly hostHeader?: string;
  readonly secure?: boolean;
  readonly timeoutMs: number;
}

/** What the probe calls itself, so that an application or a log can tell it from a visitor. */
export const PROBE_AGENT = 'memt-probe';

/** A response body is read to its end up to here, so that the application does not see a torn connection; bytes. */
const MAX_BODY = 256 * 1024;

/** Asks `GET /` on a connection of its own. Never throws. */
export async function probeHttp(target: ProbeTarget): Promise<HttpProbe> {
  const options: RequestOptions & { rejectUnauthorized?: boolean } = {
    host: target.host,
    port: target.port,
    path: '/',
    agent: false,
    headers: {
      host: target.hostHeader ?? hostHeader(target.host, target.port),
      'user-agent': PROBE_AGENT,
      connection: 'close',
    },
    // It is our own instance on loopback; whom its certificate names does not matter here.
    rejectUnauthorized: false,
  };
  const open = target.secure ? (await import('node:https')).request : request;
  return new Promise((resolve) => {
    const finish = (probe: HttpProbe): void => {
      clearTimeout(timer);
      resolve(probe);
      call.destroy();
    };
    const timer = setTimeout(() => finish({ kind: 'silent', ms: target.timeoutMs }), target.timeoutMs);
    const call: ClientRequest = open(options, (response) => {
      const answer: HttpProbe = { kind: 'answer', status: response.statusCode ?? 0 };
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BODY) finish(answer);
      });
      response.on('end', () => finish(answer));
      response.on('error', () => finish(answer));
      response.on('close', () => finish(answer));
      clearTimeout(timer);
      setTimeout(() => finish(answer), 250).unref();
    });
    call.on('error', (error) => {
      finish(codeOf(error) === 'ECONNREFUSED' ? { kind: 'refused' } : { kind: 'broken', reason: error.message });
    });
    call.end();
  });
}

/** True when nothing accepts on the port. A listener that does not answer in time counts as one that does. */
export function isFree(host: string, port: number, timeoutMs = 250): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (free: boolean): void => {
      socket.destroy();
      resolve(free);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.on('connect', () => finish(false));
    socket.on('error', (error) => finish(codeOf(error) === 'ECONNREFUSED'));
  });
}

/** Where a listener on `host` is reached from this machine. */
export function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** `host:port` as it stands in a URL or a Host header. */
export function hostHeader(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
