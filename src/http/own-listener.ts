import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server } from 'node:http';

export interface OwnListeners {
  /** The server that the application itself has started to listen on this port. */
  on(port: number): Server | undefined;
  /** Ports of all HTTP servers that it started. */
  ports(): readonly number[];
  stop(): void;
}

/** Published by Node's net.Server.listen; Nodes without it simply see nothing. */
const CHANNEL = 'tracing:net.server.listen:asyncStart';

/** Watches which HTTP servers an application starts by itself while it is imported. */
export function watchOwnListeners(): OwnListeners {
  const servers: { readonly server: Server; readonly port: number }[] = [];
  const note = (message: unknown): void => {
    const { server, options } = message as { server?: Server; options?: { port?: unknown } };
    // closeIdleConnections tells an HTTP server from a plain net.Server.
    if (server && 'closeIdleConnections' in server) servers.push({ server, port: Number(options?.port ?? -1) });
  };
  subscribe(CHANNEL, note);
  return {
    on: (port) => servers.find((one) => one.port === port)?.server,
    ports: () => servers.map((one) => one.port),
    stop: () => void unsubscribe(CHANNEL, note),
  };
}
