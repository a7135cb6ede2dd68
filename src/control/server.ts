import { mkdirSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Json } from '../model/record.js';
import { codeOf } from '../util/errors.js';

export type ControlHandler = (args: { readonly [key: string]: Json }) => unknown;

/** The control socket of one process: newline JSON, one question per line, answered in order. */
export interface ControlServer {
  /** Registers an operation; the result must be JSON. A throw becomes an error answer. */
  handle(op: string, handler: ControlHandler): void;
  close(): Promise<void>;
}

/** Longest question in bytes; a peer that sends more is cut off. */
const MAX_LINE = 64 * 1024;

/**
 * Listens on `socketPath` (its folder is made 0700), replacing a stale file.
 * The server is unref'ed: it never keeps a process alive.
 */
export async function serveControl(socketPath: string): Promise<ControlServer> {
  const handlers = new Map<string, ControlHandler>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.unref();
    socket.setEncoding('utf8');
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let buffered = '';
    socket.on('data', (chunk: string) => {
      buffered += chunk;
      if (buffered.length > MAX_LINE) socket.destroy();
      for (let end = buffered.indexOf('\n'); end >= 0; end = buffered.indexOf('\n')) {
        const line = buffered.slice(0, end);
        buffered = buffered.slice(end + 1);
        void answer(handlers, line).then((text) => {
          if (!socket.destroyed) socket.write(text + '\n');
        });
      }
    });
  });
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 });
  removeStale(socketPath);
  await listen(server, socketPath);
  server.unref();
  return {
    handle: (op, handler) => void handlers.set(op, handler),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/**
 * Not rmSync: it stats, and after the stat of a socket Node's realpathSync (20.20) takes the next path with a cached folder for a
 * socket and leaves its symbolic links in: imports in linked node_modules (pnpm, workspaces) then fail.
 */
function removeStale(socketPath: string): void {
  try {
    unlinkSync(socketPath);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

async function answer(handlers: ReadonlyMap<string, ControlHandler>, line: string): Promise<string> {
  try {
    const { op, args } = JSON.parse(line) as { op: string; args?: { [key: string]: Json } };
    const handler = handlers.get(op);
    if (!handler) return JSON.stringify({ ok: false, error: `unknown operation ${op}` });
    return JSON.stringify({ ok: true, value: (await handler(args ?? {})) ?? null });
  } catch (error) {
    return JSON.stringify({ ok: false, error: error instanceof Error ? error.message : String(error) });
  }
}
