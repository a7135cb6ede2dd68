import { createServer, type Server, type Socket } from 'node:net';
import { FailureError } from '../../../../src/model/failure.js';
import type { Disk } from '../../../../src/wal/wal.js';
import { codeOf } from '../../../../src/util/errors.js';
import { Engine } from '../engine/engine.js';
import { AmqpError } from '../engine/trouble.js';
import type { Channel } from './channel.js';
import { Connection } from './connection.js';
import type { Identity } from './identity.js';

/** The part of a logger that the broker needs. */
export interface BrokerLog {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export interface BrokerOptions extends Identity {
  readonly dataDir: string;
  readonly user: string;
  readonly password: string;
  /** Virtual hosts that clients may open; `/` is always there. */
  readonly vhosts: readonly string[];
  /** Proposed heartbeat in seconds; default 60. */
  readonly heartbeat?: number;
  readonly log?: BrokerLog;
  /** Replaced by tests of full disks. */
  readonly disk?: Disk;
}

/** A running broker. */
export interface Broker {
  readonly engine: Engine;
  readonly connections: ReadonlySet<Connection>;
  /** Listens; port 0 takes a free one. Resolves with the port. @throws FailureError `port-taken` */
  listen(port: number, host?: string): Promise<number>;
  /**
   * Ends every connection with 320 CONNECTION_FORCED, waits for their answers (at most `graceMs`, default 150), writes everything
   * to the disk and frees the data directory.
   */
  close(graceMs?: number): Promise<void>;
}

const SILENT: BrokerLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Opens the data directory and makes a broker that does not listen yet. @throws FailureError as `openWal` does */
export async function createBroker(options: BrokerOptions): Promise<Broker> {
  const log = options.log ?? SILENT;
  const server = new Listener(options, log);
  server.engine = await Engine.open({
    dataDir: options.dataDir,
    ...(options.disk ? { disk: options.disk } : {}),
    vhosts: [...new Set(['/', ...options.vhosts])],
    onRepair: (text) => log.warn(text),
    onFailed: (error) => {
      log.error(`${error.failure.what}: no durable message is accepted any more`);
      server.block(error.failure.what);
    },
    onCompacted: (error) => {
      if (error instanceof FailureError && error.failure.kind === 'cancelled') return;
      log.error(`compaction failed: ${error instanceof Error ? error.message : String(error)}`);
    },
  });
  return server;
}

class Listener implements Broker {
  engine!: Engine;
  readonly connections = new Set<Connection>();
  private readonly server: Server;
  private readonly unconfirmed = new Set<Channel>();
  private readonly replies = new Map<string, Channel>();
  private turn: NodeJS.Immediate | null = null;
  private nextId = 1;
  private closing = false;

  constructor(
    readonly options: BrokerOptions,
    readonly log: BrokerLog,
  ) {
    this.server = createServer({ noDelay: true, highWaterMark: 256 * 1024 }, (socket) => this.accept(socket));
  }

  private accept(socket: Socket): void {
    if (this.closing) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.nextId, {
      engine: this.engine,
      options: this.options,
      log: this.log,
      replies: this.replies,
      confirmLater: (channel) => this.confirmLater(channel),
      closed: () => this.connections.delete(connection),
    });
    this.nextId += 1;
    this.connections.add(connection);
  }

  /** Confirms are sent once per event-loop turn: as many as possible by one frame after one sync. */
  private confirmLater(channel: Channel): void {
    this.unconfirmed.add(channel);
    this.turn ??= setImmediate(() => {
      this.turn = null;
      const channels = [...this.unconfirmed];
      this.unconfirmed.clear();
      for (const one of channels) one.confirm();
    });
  }

  block(reason: string): void {
    for (const connection of this.connections) connection.block(reason);
  }

  listen(port: number, host = '127.0.0.1'): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', (error) => reject(listenTrouble(error, host, port)));
      this.server.listen({ port, host, backlog: 511 }, () => {
        this.server.removeAllListeners('error');
        this.server.on('error', (error) => this.log.error(`listener: ${error.message}`));
        const address = this.server.address();
        resolve(typeof address === 'object' && address ? address.port : port);
      });
    });
  }

  async close(graceMs = 150): Promise<void> {
    this.closing = true;
    if (this.server.listening) this.server.close();
    const reason = new AmqpError('CONNECTION_FORCED', "broker forced connection closure with reason 'shutdown'");
    await Promise.all([...this.connections].map((connection) => connection.end(reason, graceMs)));
    if (this.turn) clearImmediate(this.turn);
    await this.engine.close();
  }
}

/** Why a port could not be listened on. */
export function listenTrouble(error: Error, host: string, port: number): Error {
  const code = codeOf(error) ?? '';
  const what = {
    EADDRINUSE: `${host}:${port} is taken by another process`,
    EACCES: `${host}:${port} may not be listened on by this user`,
    EADDRNOTAVAIL: `${host} is no address of this machine`,
  }[code];
  return what === undefined ? error : new FailureError({ kind: 'port-taken', what });
}
