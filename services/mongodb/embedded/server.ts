import { createServer, type Socket } from 'node:net';
import { Engine, type Owner } from './engine.js';
import { Store } from './store/store.js';
import { serveConnection } from './wire/connection.js';

/** How long `close` waits for commands that are running. */
const CLOSE_MS = 200;

export interface DocumentServerOptions {
  /** Folder of the journal, made (0700) when missing. One server at a time. */
  readonly dataDir: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: a free port. */
  readonly port?: number;
  /** Whose server this is: answered by hello and buildInfo. */
  readonly owner?: Owner | null;
  /** Version to answer as; default 7.0.0. */
  readonly version?: string;
  /** How often TTL indexes are swept; default 60,000. */
  readonly ttlIntervalMs?: number;
  /** Default: silent. */
  readonly log?: ServerLog;
}

export interface ServerLog {
  info(text: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(text: string, fields?: Readonly<Record<string, unknown>>): void;
  error(text: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface DocumentServer {
  readonly host: string;
  readonly port: number;
  /** Ends connections, writes and syncs everything, frees port and folder. */
  close(): Promise<void>;
}

const SILENT: ServerLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * Starts a document server that speaks MongoDB's wire protocol, as a standalone of version 7.0.
 * @throws FailureError of kind `data-dir` or `disk-full`; the system error (`EADDRINUSE`, …) when it cannot listen
 */
export async function createDocumentServer(options: DocumentServerOptions): Promise<DocumentServer> {
  const { host = '127.0.0.1', port = 0, log = SILENT } = options;
  const store = await Store.open(options.dataDir, {
    onRepair: (text) => log.warn(text),
    onFailed: (error) => log.error(`writing failed, the server is read-only now: ${error.message}`),
    onCompaction: (error) => log.warn('compaction did not finish; it will be tried again', { err: error }),
  });
  const engine = new Engine(store, {
    owner: options.owner ?? null,
    version: options.version ?? '7.0.0',
    onBug: (error, command) => log.error(`internal error in ${command}`, { err: error }),
  });
  const sockets = new Map<Socket, () => boolean>();
  let closing: Promise<void> | null = null;
  let idle = (): void => undefined;
  const server = createServer((socket) => {
    const { busy } = serveConnection(socket, engine, () => {
      idle();
    });
    sockets.set(socket, busy);
    socket.on('close', () => sockets.delete(socket));
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, () => {
        server.removeListener('error', reject);
        resolve();
      });
    });
  } catch (error) {
    await store.close();
    throw error;
  }
  server.on('error', (error) => log.error('the listener failed', { err: error }));
  const address = server.address();
  engine.port = typeof address === 'object' && address !== null ? address.port : port;
  const sweeper = setInterval(() => {
    try {
      const removed = engine.sweep(Date.now());
      if (removed > 0) log.info(`TTL: removed ${removed} documents`);
    } catch (error) {
      log.warn('the TTL sweep stopped', { err: error });
    }
  }, options.ttlIntervalMs ?? 60_000).unref();

  async function shutDown(): Promise<void> {
    clearInterval(sweeper);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await quiet();
    for (const socket of sockets.keys()) socket.destroy();
    await closed;
    await store.close();
  }

  /** Resolves when no command is running, at the latest after CLOSE_MS. */
  function quiet(): Promise<void> {
    const running = (): boolean => [...sockets.values()].some((busy) => busy());
    if (!running()) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, CLOSE_MS);
      idle = () => {
        if (running()) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return { host, port: engine.port, close: () => (closing ??= shutDown()) };
}
