import { connect, isIP, type Socket } from 'node:net';
import { codeOf } from '../util/errors.js';

/** Why a conversation over a raw socket ended early. */
export type WireTrouble =
  | { readonly kind: 'refused' }
  /** No name, no route, … */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** Nothing (more) came before the deadline. */
  | { readonly kind: 'timeout' }
  /** The other side hung up. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'aborted' };

export class WireError extends Error {
  override readonly name = 'WireError';
  constructor(readonly trouble: WireTrouble) {
    super(trouble.kind);
  }
}

export interface WireOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** performance.now() at which the whole conversation must be over. */
  readonly deadline: number;
  readonly signal?: AbortSignal;
}

/** How much an answer may hold before the other side counts as foreign, bytes. */
const MAX_BUFFERED = 1024 * 1024;
/** Enough of the first bytes to name a foreign server. */
const FIRST_BYTES = 64;

/** A short conversation over TCP: ask, then read exact numbers of bytes. Its socket lives at most until the deadline. */
export class Wire {
  /** The first bytes that ever came. */
  first: Buffer = Buffer.alloc(0);
  #received: Buffer = Buffer.alloc(0);
  #connected = false;
  #trouble: WireTrouble | undefined;
  #wake: () => void = () => undefined;
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = (): void => this.#end({ kind: 'aborted' });

  private constructor(socket: Socket, options: WireOptions) {
    this.#socket = socket;
    this.#signal = options.signal;
    this.#signal?.addEventListener('abort', this.#abort, { once: true });
    this.#timer = setTimeout(() => this.#end({ kind: 'timeout' }), Math.max(1, options.deadline - performance.now()));
    socket.setNoDelay(true);
    socket.once(options.tls ? 'secureConnect' : 'connect', () => {
      this.#connected = true;
      this.#wake();
    });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.#end({ kind: 'closed' }));
    socket.on('close', () => this.#end({ kind: 'closed' }));
    socket.on('error', (error) => this.#end(troubleOf(error)));
  }

  /** @throws WireError */
  static async open(options: WireOptions): Promise<Wire> {
    const socket = await openSocket(options);
    const wire = new Wire(socket, options);
    try {
      if (options.signal?.aborted === true) throw new WireError({ kind: 'aborted' });
      await wire.#until(() => wire.#connected);
      // A connect to a closed ephemeral port of this machine can meet itself half-way.
      if (socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress) {
        throw new WireError({ kind: 'refused' });
      }
      return wire;
    } catch (error) {
      wire.close();
      throw error;
    }
  }

  write(bytes: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  /** The next `length` bytes. @throws WireError */
  async read(length: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= length);
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.first.length < FIRST_BYTES) this.first = Buffer.concat([this.first, chunk.subarray(0, FIRST_BYTES)]);
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    if (this.#received.length > MAX_BUFFERED) this.#end({ kind: 'closed' });
    else this.#wake();
  }

  #end(trouble: WireTrouble): void {
    this.#trouble ??= trouble;
    this.#socket.destroy();
    this.#wake();
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.#trouble) throw new WireError(this.#trouble);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

async function openSocket({ host, port, tls }: WireOptions): Promise<Socket> {
  if (!tls) return connect({ host, port });
  const { connect: connectTls } = await import('node:tls');
  return connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}) });
}

function troubleOf(error: Error): WireTrouble {
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') return { kind: 'refused' };
  if (code === 'ECONNRESET' || code === 'EPIPE') return { kind: 'closed' };
  return { kind: 'unreachable', reason: code ?? error.message };
}

/** The start of a foreign answer, made printable and short. */
export function printable(bytes: Buffer, length = 40): string {
  return bytes
    .subarray(0, length)
    .toString('latin1')
    .replace(/[\r\n].*$/s, '')
    .replace(/[^\x20-\x7e]/g, '.');
}
