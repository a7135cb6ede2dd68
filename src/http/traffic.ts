import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { sleep } from '../util/deadline.js';

export interface DrainReport {
  /** Requests that were in hand when the drain began or came during the linger, and were answered. */
  readonly finished: number;
  /** Requests cut off at the deadline. */
  readonly cut: number;
  /** `GET /path` of the cut ones, without queries; at most ten. */
  readonly cutRequests: readonly string[];
}

/** How often a drain looks for connections that became idle, ms. */
const LOOK_MS = 10;
/** A connection that has not sent a byte for so long is not about to: browsers open some ahead of need, ms. */
const PRECONNECT_MS = 200;
/** How long a half-sent request may take once the listener is closed, ms. */
const HALF_SENT_MS = 1000;

/** Counts what a server has in hand, and empties it without losing anything. */
export class Traffic {
  served = 0;
  readonly #busy = new Set<ServerResponse>();
  readonly #sockets = new Map<Socket, number>();
  /** Connections of the proof: they are nobody's requests. */
  readonly #probes = new WeakSet<Socket>();
  #probing = true;
  #draining = false;
  readonly #hurry = new AbortController();

  /** @param onChange called when a request begins or ends */
  constructor(
    readonly server: Server,
    private readonly onChange: () => void = () => undefined,
  ) {
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#begin(request, response),
    );
    server.on('connection', (socket: Socket) => {
      this.#sockets.set(socket, performance.now());
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  get inFlight(): number {
    return this.#busy.size;
  }

  /** Feeds a connection of the proof into the server. */
  probe(socket: Socket): void {
    this.#probes.add(socket);
    this.server.emit('connection', socket);
  }

  endProbing(): void {
    this.#probing = false;
  }

  /**
   * Two phases, so that nothing is lost: for `lingerMs` it goes on accepting, and tells every client to close its connection; then it
   * closes the listener, finishes what is in hand for at most `graceMs`, and cuts off the rest.
   */
  async drain(lingerMs: number, graceMs: number, onClosed: () => void): Promise<DrainReport> {
    const end = performance.now() + graceMs;
    const servedBefore = this.served;
    this.#draining = true;
    for (const response of this.#busy) response.shouldKeepAlive = false;
    if (lingerMs > 0) await sleep(lingerMs, this.#hurry.signal).catch(() => undefined);
    const closed = performance.now();
    // Its callback waits for upgraded connections, too: #sweep decides instead.
    this.server.close();
    onClosed();
    while (this.#sweep(performance.now() - closed) && performance.now() < end) await sleep(LOOK_MS);
    const cut = [...this.#busy];
    for (const socket of this.#sockets.keys()) socket.destroy();
    return {
      finished: this.served - servedBefore,
      cut: cut.length,
      cutRequests: cut.slice(0, 10).map((response) => nameOf(response.req)),
    };
  }

  /** Ends the linger of a drain that has begun: there are no others any more that could serve meanwhile. */
  closeNow(): void {
    this.#hurry.abort();
  }

  /** Closes what is idle; true while something is still in hand. */
  #sweep(sinceClosedMs: number): boolean {
    this.server.closeIdleConnections();
    const busy = new Set([...this.#busy].map((response) => response.socket));
    const now = performance.now();
    for (const [socket, since] of this.#sockets) {
      if (busy.has(socket)) continue;
      // Node does not count a connection as idle before its first request.
      const silent = socket.bytesRead === 0 && now - since > PRECONNECT_MS;
      if (silent || sinceClosedMs > HALF_SENT_MS) socket.destroy();
    }
    return this.#busy.size > 0 || this.#sockets.size > 0;
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    if (this.#probing && this.#probes.has(request.socket)) return;
    this.#busy.add(response);
    this.onChange();
    response.once('close', () => {
      this.#busy.delete(response);
      this.served += 1;
      this.onChange();
    });
    if (this.#draining) response.shouldKeepAlive = false;
  }
}

/** `GET /path`: a request without its query, which may hold secrets. */
export function nameOf(request: IncomingMessage): string {
  return `${request.method ?? '?'} ${(request.url ?? '').split('?', 1)[0] ?? ''}`;
}
