/** Thrown for bytes that are no AMQP: the connection ends with 502 SYNTAX_ERROR. */
export class SyntaxTrouble extends Error {
  override readonly name = 'SyntaxTrouble';
}

/** Reads AMQP's elementary types one after another. @throws SyntaxTrouble at the end of the bytes */
export class Reader {
  constructor(
    readonly bytes: Buffer,
    public at = 0,
    readonly end = bytes.length,
  ) {}

  private take(count: number): number {
    const from = this.at;
    if (from + count > this.end) throw new SyntaxTrouble('the frame ends too early');
    this.at = from + count;
    return from;
  }
  octet(): number {
    return this.bytes.readUInt8(this.take(1));
  }
  short(): number {
    return this.bytes.readUInt16BE(this.take(2));
  }
  long(): number {
    return this.bytes.readUInt32BE(this.take(4));
  }
  longlong(): bigint {
    return this.bytes.readBigUInt64BE(this.take(8));
  }
  /** A delivery tag: 64 bits, of which a number holds 53. */
  tag(): number {
    const from = this.take(8);
    return this.bytes.readUInt32BE(from) * 4_294_967_296 + this.bytes.readUInt32BE(from + 4);
  }
  slice(count: number): Buffer {
    const from = this.take(count);
    return this.bytes.subarray(from, from + count);
  }
  shortstr(): string {
    const length = this.octet();
    const from = this.take(length);
    return length === 0 ? '' : this.bytes.toString('utf8', from, from + length);
  }
  longstr(): Buffer {
    return this.slice(this.long());
  }
}

/** Writes AMQP's elementary types into a buffer that grows. */
export class Writer {
  bytes: Buffer;
  at = 0;

  constructor(size = 256) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  /** Room for `count` bytes; returns where they begin. */
  take(count: number): number {
    const from = this.at;
    if (from + count > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, from + count));
      this.bytes.copy(larger, 0, 0, from);
      this.bytes = larger;
    }
    this.at = from + count;
    return from;
  }
  octet(value: number): void {
    const at = this.take(1);
    this.bytes[at] = value;
  }
  short(value: number): void {
    const at = this.take(2);
    this.bytes.writeUInt16BE(value, at);
  }
  long(value: number): void {
    const at = this.take(4);
    this.bytes.writeUInt32BE(value, at);
  }
  longlong(value: bigint): void {
    const at = this.take(8);
    this.bytes.writeBigUInt64BE(value, at);
  }
  tag(value: number): void {
    const at = this.take(8);
    this.bytes.writeUInt32BE(Math.floor(value / 4_294_967_296), at);
    this.bytes.writeUInt32BE(value >>> 0, at + 4);
  }
  raw(value: Buffer): void {
    const at = this.take(value.length);
    value.copy(this.bytes, at);
  }
  /** Longer text than 255 bytes is cut at a character. */
  shortstr(value: string): void {
    let text = value;
    while (text.length > 63 && Buffer.byteLength(text) > 255) text = text.slice(0, Math.min(255, text.length - 1));
    const length = Buffer.byteLength(text);
    const at = this.take(1 + length);
    this.bytes[at] = length;
    this.bytes.write(text, at + 1, 'utf8');
  }
  longstr(value: Buffer): void {
    this.long(value.length);
    this.raw(value);
  }
  /** What was written, as a copy of its own. */
  done(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.at));
  }
}
