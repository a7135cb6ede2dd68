import { encodePrefix, MAX_PAYLOAD, RECORD_OVERHEAD } from './record.js';

const ARENA = 64 * 1024;

/** Parts up to this size (bytes) are copied together: few long buffers are written faster than many short ones. */
const COPY_LIMIT = 8 * 1024;

/** Records on their way to the disk, encoded as they come. */
export class Batch {
  private arena = Buffer.alloc(0);
  private start = 0;
  private at = 0;
  private buffers: Buffer[] = [];
  /** Bytes gathered since the last `take`. */
  bytes = 0;

  add(marker: number, payload: Buffer | readonly Buffer[]): void {
    const parts = Buffer.isBuffer(payload) ? [payload] : payload;
    let length = 0;
    for (const part of parts) length += part.length;
    if (length < 1 || length > MAX_PAYLOAD)
      throw new RangeError(`a record of ${length} bytes does not fit into the log`);
    this.prefix(marker, parts, length);
    for (const part of parts) this.put(part);
    this.bytes += length;
  }

  /** The empty record that ends a snapshot. */
  addEnd(marker: number): void {
    this.prefix(marker, [], 0);
  }

  /** Everything gathered, in order; the batch is empty afterwards. */
  take(): Buffer[] {
    this.cut();
    const taken = this.buffers;
    this.buffers = [];
    this.bytes = 0;
    return taken;
  }

  private prefix(marker: number, parts: readonly Buffer[], length: number): void {
    this.reserve(RECORD_OVERHEAD);
    encodePrefix(this.arena, this.at, marker, parts, length);
    this.at += RECORD_OVERHEAD;
    this.bytes += RECORD_OVERHEAD;
  }

  private put(part: Buffer): void {
    if (part.length > COPY_LIMIT) {
      this.cut();
      this.buffers.push(part);
      return;
    }
    this.reserve(part.length);
    part.copy(this.arena, this.at);
    this.at += part.length;
  }

  private reserve(length: number): void {
    if (this.arena.length - this.at >= length) return;
    this.cut();
    this.arena = Buffer.allocUnsafeSlow(ARENA);
    this.start = 0;
    this.at = 0;
  }

  private cut(): void {
    if (this.at > this.start) this.buffers.push(this.arena.subarray(this.start, this.at));
    this.start = this.at;
  }
}
