import { timingSafeEqual, createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listenTrouble, type Broker, type BrokerOptions } from '../server/server.js';
import { renderPage } from './html.js';
import { Rates } from './rates.js';
import { reportConnections, reportOverview, reportQueues } from './report.js';

/** The plain page and its two JSON answers. */
export interface Page {
  /** Resolves with the port. @throws FailureError `port-taken` */
  listen(port: number, host?: string): Promise<number>;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type: 'html' | 'json';
  readonly body: string;
}

/** Serves `/`, `/api/overview`, `/api/queues` and `/api/connections` of a broker to whoever knows its user and password. */
export function createPage(broker: Broker, options: BrokerOptions): Page {
  const rates = new Rates();
  const server = createServer(
    { requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 5000 },
    (request, response) => {
      request.resume();
      respond(request, response, options, () => answer(request, broker, options, rates));
    },
  );
  return {
    listen: (port, host = '127.0.0.1') =>
      new Promise((resolve, reject) => {
        server.once('error', (error) => reject(listenTrouble(error, host, port)));
        server.listen({ port, host }, () => {
          const address = server.address();
          resolve(typeof address === 'object' && address ? address.port : port);
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function respond(request: IncomingMessage, response: ServerResponse, options: BrokerOptions, make: () => Answer): void {
  const { status, type, body } = authorised(request, options)
    ? make()
    : json(401, { error: 'not_authorized', reason: 'Login failed' });
  response.writeHead(status, {
    'content-type': type === 'html' ? 'text/html; charset=utf-8' : 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    ...(status === 401 ? { 'www-authenticate': 'Basic realm="memt embedded broker"' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function answer(request: IncomingMessage, broker: Broker, options: BrokerOptions, rates: Rates): Answer {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return json(405, {
      error: 'method_not_allowed',
      reason: `memt's embedded broker answers GET only; use a real RabbitMQ for its management API`,
    });
  }
  switch ((request.url ?? '/').replace(/\?.*$/s, '')) {
    case '/': {
      const queues = reportQueues(broker, rates);
      const { published, delivered } = broker.engine.counters;
      const body = renderPage({
        identity: options,
        queues,
        connections: reportConnections(broker),
        published: rates.rate(broker.engine, 'publish', published),
        delivered: rates.rate(broker.engine, 'deliver', delivered),
        trouble: broker.engine.failure?.failure.what ?? null,
      });
      return { status: 200, type: 'html', body };
    }
    case '/api/overview':
      return json(200, reportOverview(broker, rates, options));
    case '/api/queues':
      return json(200, reportQueues(broker, rates));
    case '/api/connections':
      return json(200, reportConnections(broker));
    default:
      return json(404, {
        error: 'Object Not Found',
        reason: `memt's embedded broker has /, /api/overview, /api/queues and /api/connections`,
      });
  }
}

function json(status: number, value: unknown): Answer {
  return { status, type: 'json', body: JSON.stringify(value) };
}

function authorised(request: IncomingMessage, { user, password }: BrokerOptions): boolean {
  const [scheme, value] = (request.headers.authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'basic' || value === undefined) return false;
  return timingSafeEqual(digest(Buffer.from(value, 'base64')), digest(Buffer.from(`${user}:${password}`)));
}

function digest(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
