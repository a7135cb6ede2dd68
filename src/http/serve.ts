import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../logs/capture.js';
import { unreachable } from '../util/unreachable.js';
import { isThenable, type Application, type Handler } from './application.js';
import { fetchBridge } from './fetch-bridge.js';
import { nameOf } from './traffic.js';

export interface Served {
  readonly server: Server;
  /** The application's own ending: closes its databases and the like. */
  readonly close?: () => PromiseLike<unknown>;
}

/** Longer than the 60 s after which common load balancers drop an idle connection, so that they close first and not we. */
const KEEP_ALIVE_MS = 65_000;

/** The application as an http.Server that does not listen yet (unless it does so by itself). */
export async function toServer(application: Application, log: Logger): Promise<Served> {
  switch (application.kind) {
    case 'handler':
      return { server: serverOf(application.handler, log) };
    case 'koa':
      return { server: serverOf(application.callback(), log) };
    case 'fetch':
      return { server: serverOf(fetchBridge(application.fetch), log) };
    case 'fastify': {
      const { app } = application;
      await app.ready();
      return { server: app.server, close: () => app.close() };
    }
    case 'server':
      return { server: application.server };
    default:
      return unreachable(application);
  }
}

function serverOf(handler: Handler, log: Logger): Server {
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    try {
      const result = handler(request, response);
      if (isThenable(result)) result.then(undefined, (error: unknown) => handlerFailed(error, request, response, log));
    } catch (error) {
      handlerFailed(error, request, response, log);
    }
  });
}

/** One request's error is that request's own: it gets a 500, the others go on. */
function handlerFailed(error: unknown, request: IncomingMessage, response: ServerResponse, log: Logger): void {
  log.error(`${nameOf(request)} failed: the application's handler threw`, { err: error });
  if (response.headersSent) response.destroy();
  else response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' }).end('Internal Server Error\n');
}
