import { Writer } from './bytes.js';
import { writeMethod, type Args, type MethodName } from './methods.js';

export const FRAME = { method: 1, header: 2, body: 3, heartbeat: 8 } as const;
export const FRAME_OVERHEAD = 8;
const FRAME_END = 0xce;

/** A frame that is longer than negotiated or does not end where it says: the connection ends with 501 FRAME_ERROR. */
export class FrameTrouble extends Error {
  override readonly name = 'FrameTrouble';
}

/** Cuts a byte stream into frames; payloads are views on the bytes that came in. */
export class FrameReader {
  private rest: Buffer | null = null;
  /** Longest frame in bytes, overhead included. */
  frameMax = 131_072;

  /** Calls `onFrame` for each complete frame until it returns false. @throws FrameTrouble */
  push(chunk: Buffer, onFrame: (type: number, channel: number, payload: Buffer) => boolean): void {
    const bytes = this.rest ? Buffer.concat([this.rest, chunk]) : chunk;
    this.rest = null;
    let at = 0;
    while (bytes.length - at >= FRAME_OVERHEAD) {
      const length = bytes.readUInt32BE(at + 3);
      if (length + FRAME_OVERHEAD > this.frameMax) throw new FrameTrouble(`a frame of ${length} bytes is too long`);
      const end = at + FRAME_OVERHEAD + length;
      if (bytes.length < end) break;
      if (bytes[end - 1] !== FRAME_END) throw new FrameTrouble('a frame does not end with its end mark');
      if (!onFrame(bytes[at] ?? 0, bytes.readUInt16BE(at + 1), bytes.subarray(at + 7, end - 1))) return;
      at = end;
    }
    if (at < bytes.length) this.rest = at === 0 ? bytes : bytes.subarray(at);
  }
}

/** Bodies from this size (bytes) on are sent as they are instead of being copied. */
const COPY_LIMIT = 16 * 1024;

/** Frames gathered until they are sent with as few writes as possible. */
export class FrameWriter {
  private writer = new Writer(4096);
  private ready: Buffer[] = [];
  /** Bytes gathered. */
  size = 0;
  frameMax = 131_072;

  method<N extends MethodName>(channel: number, name: N, args: Args<N>): void {
    const at = this.begin(FRAME.method, channel);
    writeMethod(this.writer, name, args);
    this.end(at);
  }

  /** Header and body of a message that follow its method. `content` is properties, then body. */
  content(channel: number, content: Buffer, propertiesLength: number): void {
    const bodyLength = content.length - propertiesLength;
    const at = this.begin(FRAME.header, channel);
    this.writer.long(60 * 65_536);
    this.writer.long(Math.floor(bodyLength / 2 ** 32));
    this.writer.long(bodyLength >>> 0);
    this.writer.raw(propertiesLength === content.length ? content : content.subarray(0, propertiesLength));
    this.end(at);
    const room = this.frameMax - FRAME_OVERHEAD;
    for (let from = propertiesLength; from < content.length; from += room) {
      this.body(channel, content.subarray(from, Math.min(content.length, from + room)));
    }
  }

  heartbeat(): void {
    this.end(this.begin(FRAME.heartbeat, 0));
  }

  /** Everything gathered, in order; empty afterwards. */
  take(): Buffer[] {
    this.cut();
    const taken = this.ready;
    this.ready = [];
    this.size = 0;
    return taken;
  }

  private body(channel: number, part: Buffer): void {
    if (part.length < COPY_LIMIT) {
      const at = this.begin(FRAME.body, channel);
      this.writer.raw(part);
      this.end(at);
      return;
    }
    this.writer.octet(FRAME.body);
    this.writer.short(channel);
    this.writer.long(part.length);
    this.cut();
    this.ready.push(part);
    this.writer.octet(FRAME_END);
    this.size += part.length + FRAME_OVERHEAD;
  }

  private begin(type: number, channel: number): number {
    const { writer } = this;
    const at = writer.take(7);
    writer.bytes[at] = type;
    writer.bytes.writeUInt16BE(channel, at + 1);
    return at;
  }

  private end(at: number): void {
    const { writer } = this;
    writer.bytes.writeUInt32BE(writer.at - at - 7, at + 3);
    writer.octet(FRAME_END);
    this.size += writer.at - at;
  }

  private cut(): void {
    if (this.writer.at === 0) return;
    this.ready.push(this.writer.bytes.subarray(0, this.writer.at));
    // Sent bytes belong to the socket; the last size foretells the next.
    this.writer = new Writer(Math.min(Math.max(this.writer.at, 512), 65_536));
  }
}
