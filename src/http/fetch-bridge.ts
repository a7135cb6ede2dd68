import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import type { TLSSocket } from 'node:tls';
import type { FetchHandler, Handler } from './application.js';

/** Serves a Web-style handler on node:http: streams both bodies, and aborts the request's signal when the client leaves. */
export function fetchBridge(handler: FetchHandler): Handler {
  return async (incoming, outgoing) => {
    const leave = new AbortController();
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) leave.abort(new Error('the client closed the connection'));
    });
    let request: Request;
    try {
      request = toRequest(incoming, leave.signal);
    } catch {
      outgoing.writeHead(400, { 'content-type': 'text/plain' }).end('Bad Request\n'); // a target or Host that is no URL
      return;
    }
    await send(await handler(request), outgoing);
  };
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const method = incoming.method ?? 'GET';
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const scheme = (incoming.socket as Partial<TLSSocket>).encrypted ? 'https' : 'http';
  const target = incoming.url ?? '/';
  const url = target.startsWith('/') ? `${scheme}://${incoming.headers.host ?? 'localhost'}${target}` : target;
  const init: RequestInit & { duplex?: 'half' } = { method, headers: toHeaders(incoming.rawHeaders), signal };
  if (hasBody) Object.assign(init, { body: Readable.toWeb(incoming), duplex: 'half' });
  return new Request(url, init);
}

function toHeaders(raw: readonly string[]): Headers {
  const headers = new Headers();
  for (let index = 0; index + 1 < raw.length; index += 2) headers.append(raw[index] ?? '', raw[index + 1] ?? '');
  return headers;
}

async function send(response: Response, outgoing: ServerResponse): Promise<void> {
  const headers = new Map<string, string | string[]>(response.headers);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers.set('set-cookie', cookies);
  outgoing.writeHead(response.status, response.statusText || undefined, Object.fromEntries(headers));
  if (response.body === null) {
    outgoing.end();
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const body = Readable.fromWeb(response.body as NodeReadableStream);
    body.on('error', reject);
    outgoing.on('close', () => {
      body.destroy();
      resolve();
    });
    body.pipe(outgoing);
  });
}
