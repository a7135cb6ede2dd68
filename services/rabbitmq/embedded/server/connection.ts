import type { Socket } from 'node:net';
import { FRAME, FrameReader, FrameWriter } from '../codec/frames.js';
import { readMethod, type Args, type Method, type MethodName } from '../codec/methods.js';
import { textOf, type Table } from '../codec/table.js';
import type { Engine } from '../engine/engine.js';
import { AmqpError } from '../engine/trouble.js';
import { asAmqpError } from './codec-trouble.js';
import type { VirtualHost } from '../engine/vhost.js';
import { Channel } from './channel.js';
import { credentialsOf } from './credentials.js';
import { assertLimits, CHANNEL_MAX, FRAME_MAX, HEADER, startOf } from './handshake.js';
import { Heartbeat } from './heartbeat.js';
import type { BrokerLog, BrokerOptions } from './server.js';

export interface ConnectionContext {
  readonly engine: Engine;
  readonly options: BrokerOptions;
  readonly log: BrokerLog;
  /** Channels that wait for direct replies, by the token in their reply address. */
  readonly replies: Map<string, Channel>;
  confirmLater(channel: Channel): void;
  closed(): void;
}

const HANDSHAKE_MS = 10_000;
const CLOSE_MS = 5000;

/** Unsent bytes from which on no more messages are delivered to a client that does not read. */
const CONGESTED = 1024 * 1024;

type State = 'header' | 'start' | 'tune' | 'open' | 'running' | 'closing' | 'closed';

/** One client: handshake, heartbeats, channels, and the end of all of them. */
export class Connection {
  state: State = 'header';
  vhost!: VirtualHost;
  user = '';
  clientName = '';
  readonly connectedAt = Date.now();
  readonly channels = new Map<number, Channel>();
  private readonly reader = new FrameReader();
  private readonly writer = new FrameWriter();
  private capabilities: Table = new Map();
  private channelMax = CHANNEL_MAX;
  private head: Buffer | null = Buffer.alloc(0);
  private deadline: NodeJS.Timeout | undefined;
  private readonly heartbeat = new Heartbeat();
  private flushing = false;
  private stalled = false;
  private ended: (() => void) | null = null;

  constructor(
    private readonly socket: Socket,
    readonly id: number,
    readonly context: ConnectionContext,
  ) {
    this.setDeadline(HANDSHAKE_MS);
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.gone());
  }

  get peer(): string {
    return `${this.socket.remoteAddress ?? '?'}:${this.socket.remotePort ?? 0}`;
  }

  /** False while the client reads too slowly; its consumers are served again when it has caught up. */
  hasRoom(): boolean {
    this.stalled ||= this.socket.writableLength + this.writer.size > CONGESTED;
    return !this.stalled;
  }

  can(capability: string): boolean {
    return this.capabilities.get(capability)?.value === true;
  }

  send<N extends MethodName>(channel: number, name: N, args: Args<N>): void {
    if (this.state === 'closed') return;
    this.writer.method(channel, name, args);
    this.flushSoon();
  }

  sendContent(channel: number, content: Buffer, propertiesLength: number): void {
    if (this.state === 'closed') return;
    this.writer.content(channel, content, propertiesLength);
    this.flushSoon();
  }

  /** Tells a client that wants to know that the broker takes no messages any more. */
  block(reason: string): void {
    if (this.state === 'running' && this.can('connection.blocked')) this.send(0, 'connection.blocked', { reason });
  }

  /** Closes it with this reason; resolves when the socket is gone, at the latest after `ms`. */
  end(reason: AmqpError, ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.state === 'closed') {
        resolve();
        return;
      }
      this.ended = resolve;
      if (this.state === 'running') this.close(reason, 0);
      else this.socket.destroySoon();
      this.setDeadline(ms);
    });
  }

  private receive(chunk: Buffer): void {
    this.heartbeat.heard();
    try {
      const bytes = this.head === null ? chunk : this.readHead(chunk);
      if (bytes) this.reader.push(bytes, (type, channel, payload) => this.frame(type, channel, payload));
    } catch (error) {
      this.fail(error, 0, 0);
    }
  }

  /** The eight bytes that open every connection; anything else gets ours back and is cut off. */
  private readHead(chunk: Buffer): Buffer | null {
    const head = Buffer.concat([this.head ?? HEADER, chunk]);
    const known = head.subarray(0, HEADER.length);
    if (!known.equals(HEADER.subarray(0, known.length))) {
      this.socket.end(HEADER);
      this.setDeadline(1000);
      this.state = 'closing';
      return null;
    }
    this.head = head;
    if (head.length < HEADER.length) return null;
    this.head = null;
    this.state = 'start';
    this.send(0, 'connection.start', startOf(this.context.options));
    return head.subarray(HEADER.length);
  }

  private frame(type: number, number: number, payload: Buffer): boolean {
    let methodId = 0;
    try {
      if (type === FRAME.heartbeat) {
        if (number !== 0) throw new AmqpError('FRAME_ERROR', 'heartbeat on a channel');
        return true;
      }
      if (type === FRAME.method) {
        if (payload.length >= 4) methodId = payload.readUInt32BE(0);
        const method = readMethod(payload);
        if (method.name === 'unknown') {
          throw new AmqpError(
            'NOT_IMPLEMENTED',
            `method ${Math.floor(method.id / 65_536)}.${method.id % 65_536} is not known to memt's embedded broker`,
          );
        }
        if (number === 0) this.connectionMethod(method);
        else this.channelFor(number, method).method(method);
      } else if (type === FRAME.header || type === FRAME.body) {
        const channel = this.channels.get(number);
        if (channel) channel.content(type, payload);
        else if (this.state === 'running') throw new AmqpError('CHANNEL_ERROR', "expected 'channel.open'");
      } else throw new AmqpError('FRAME_ERROR', `type ${type} is no frame type`);
    } catch (error) {
      this.fail(error, number, methodId);
    }
    return this.state !== 'closed' && this.state !== 'header';
  }

  private channelFor(number: number, method: Method): Channel {
    if (this.state !== 'running' && this.state !== 'closing')
      throw new AmqpError('CHANNEL_ERROR', 'a channel before the connection is open');
    const existing = this.channels.get(number);
    if (existing) return existing;
    if (this.state === 'closing') return new Channel(number, this);
    if (method.name !== 'channel.open') throw new AmqpError('CHANNEL_ERROR', "expected 'channel.open'");
    if (number > this.channelMax)
      throw new AmqpError(
        'NOT_ALLOWED',
        `number of channels opened (${number}) has reached the negotiated channel_max (${this.channelMax})`,
      );
    const channel = new Channel(number, this);
    this.channels.set(number, channel);
    return channel;
  }

  private connectionMethod(method: Method): void {
    const { name, args } = method;
    if (name === 'connection.close') {
      this.send(0, 'connection.close-ok', {});
      this.state = 'closing';
      this.finish();
      return;
    }
    if (name === 'connection.close-ok') {
      this.finish();
      return;
    }
    if (this.state === 'closing') return;
    if (name === 'connection.start-ok' && this.state === 'start') {
      this.login(args);
      return;
    }
    if (name === 'connection.tune-ok' && this.state === 'tune') {
      this.tuned(args);
      return;
    }
    if (name === 'connection.open' && this.state === 'open') {
      this.open(args.vhost);
      return;
    }
    if (name === 'connection.update-secret' && this.state === 'running') {
      this.send(0, 'connection.update-secret-ok', {});
      return;
    }
    if ((name === 'connection.blocked' || name === 'connection.unblocked') && this.state === 'running') return;
    throw new AmqpError('COMMAND_INVALID', `${name} in state ${this.state}`);
  }

  private login(args: Args<'connection.start-ok'>): void {
    const capabilities = args.properties.get('capabilities');
    if (capabilities?.type === 'F') this.capabilities = capabilities.value;
    this.clientName = textOf(args.properties.get('connection_name')) ?? textOf(args.properties.get('product')) ?? '';
    const { user, password } = this.context.options;
    const given = credentialsOf(args.mechanism, args.response);
    if (!given) throw new AmqpError('SYNTAX_ERROR', `the response of mechanism ${args.mechanism} cannot be read`);
    if (given.user !== user || given.password !== password) {
      this.context.log.warn(`${this.peer} was refused: wrong user or password`);
      const text = `Login was refused using authentication mechanism ${args.mechanism}. For details see the broker logfile.`;
      if (this.can('authentication_failure_close')) this.close(new AmqpError('ACCESS_REFUSED', text, true), 0);
      else this.socket.destroy();
      return;
    }
    this.user = given.user;
    this.state = 'tune';
    this.send(0, 'connection.tune', {
      channelMax: CHANNEL_MAX,
      frameMax: FRAME_MAX,
      heartbeat: this.context.options.heartbeat ?? 60,
    });
  }

  private tuned(args: Args<'connection.tune-ok'>): void {
    assertLimits(args);
    this.reader.frameMax = this.writer.frameMax = args.frameMax || FRAME_MAX;
    this.channelMax = args.channelMax || CHANNEL_MAX;
    this.heartbeat.start(
      args.heartbeat,
      () => {
        this.writer.heartbeat();
        this.flush();
      },
      () => {
        this.context.log.warn(`${this.peer} missed its heartbeats (${args.heartbeat} s) and was cut off`);
        this.socket.destroy();
      },
    );
    this.state = 'open';
  }

  private open(name: string): void {
    const { options } = this.context;
    const vhost = name === '/' || options.vhosts.includes(name) ? this.context.engine.vhosts.get(name) : undefined;
    if (!vhost) throw new AmqpError('NOT_ALLOWED', `vhost ${name} not found`);
    this.vhost = vhost;
    this.state = 'running';
    this.clearDeadline();
    this.send(0, 'connection.open-ok', {});
    if (this.context.engine.failure) this.block(this.context.engine.failure.failure.what);
  }

  /** Any trouble while a frame was handled: the channel or the connection ends, by AMQP's rules. */
  private fail(error: unknown, number: number, methodId: number): void {
    const trouble = asAmqpError(error);
    const channel = this.channels.get(number);
    if (!trouble.hard && channel && this.state === 'running') channel.fail(trouble, methodId);
    else this.close(trouble, methodId);
  }

  private close(reason: AmqpError, methodId: number): void {
    if (this.state === 'closing' || this.state === 'closed') return;
    this.releaseChannels();
    this.send(0, 'connection.close', {
      code: reason.code,
      text: reason.message,
      classId: Math.floor(methodId / 65_536),
      methodId: methodId % 65_536,
    });
    this.state = 'closing';
    this.setDeadline(CLOSE_MS);
  }

  private finish(): void {
    this.releaseChannels();
    this.flush();
    this.socket.destroySoon();
    this.setDeadline(CLOSE_MS);
  }

  private releaseChannels(): void {
    const channels = [...this.channels.values()];
    this.channels.clear();
    for (const channel of channels) channel.release();
  }

  private gone(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.clearDeadline();
    this.heartbeat.stop();
    this.releaseChannels();
    for (const vhost of this.context.engine.vhosts.values()) {
      for (const queue of [...vhost.queues.values()]) if (queue.identity.owner === this) vhost.deleteQueue(queue);
    }
    this.context.closed();
    this.ended?.();
  }

  private readonly caughtUp = (): void => {
    if (!this.stalled || this.state === 'closed' || this.socket.writableLength + this.writer.size > CONGESTED / 2)
      return;
    this.stalled = false;
    for (const channel of [...this.channels.values()]) channel.pump();
  };

  /** Everything that one event causes goes out in one write. */
  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    process.nextTick(() => this.flush());
  }

  private flush(): void {
    this.flushing = false;
    if (this.writer.size === 0) return;
    this.heartbeat.said();
    const buffers = this.writer.take();
    const last = buffers.pop();
    if (last === undefined || this.socket.destroyed || !this.socket.writable) return;
    this.socket.cork();
    for (const buffer of buffers) this.socket.write(buffer);
    // 'drain' is not emitted for a long write that the kernel takes at once.
    this.socket.write(last, this.caughtUp);
    this.socket.uncork();
  }

  private setDeadline(ms: number): void {
    this.clearDeadline();
    this.deadline = setTimeout(() => this.socket.destroy(), ms);
  }

  private clearDeadline(): void {
    clearTimeout(this.deadline);
  }
}
