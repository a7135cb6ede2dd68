import { FRAME } from '../codec/frames.js';
import { readProperties, type Properties } from '../codec/properties.js';
import type { Args } from '../codec/methods.js';
import { AmqpError, refused } from '../engine/trouble.js';

export interface Incoming {
  readonly publish: Args<'basic.publish'>;
  readonly properties: Properties;
  /** Properties as on the wire, then the body, in memory of its own. */
  readonly content: Buffer;
  readonly propertiesLength: number;
}

/** RabbitMQ 3.10's default limit. */
const MAX_BODY = 134_217_728;

/** Up to this size (bytes) room is made at once; a larger announcement has to be followed by bytes first. */
const TRUSTED = 1024 * 1024;

/** Puts a message together from its method, header and body frames. */
export class Assembly {
  private properties: Properties = {};
  private propertiesLength = 0;
  private size = 0;
  private received = 0;
  private whole: Buffer | null = null;
  private parts: Buffer[] = [];
  private announced = false;

  constructor(private readonly publish: Args<'basic.publish'>) {}

  /** Takes the next frame; gives the message with its last one. @throws AmqpError */
  add(type: number, payload: Buffer): Incoming | undefined {
    if ((type === FRAME.header) === this.announced) {
      throw new AmqpError(
        'UNEXPECTED_FRAME',
        `expected content ${this.announced ? 'body' : 'header'}, got another frame`,
      );
    }
    if (type === FRAME.header) this.header(payload);
    else this.body(payload);
    return this.received === this.size ? this.finish() : undefined;
  }

  private header(payload: Buffer): void {
    if (payload.length < 14 || payload.readUInt16BE(0) !== 60)
      throw new AmqpError('FRAME_ERROR', 'a content header of another class');
    this.announced = true;
    this.size = payload.readUInt32BE(4) * 4_294_967_296 + payload.readUInt32BE(8);
    if (this.size > MAX_BODY) throw refused(`message size ${this.size} is larger than configured max size ${MAX_BODY}`);
    const raw = payload.subarray(12);
    this.properties = readProperties(Buffer.from(raw));
    this.propertiesLength = raw.length;
    if (this.size > TRUSTED) {
      this.parts.push(Buffer.from(raw));
      return;
    }
    this.whole = Buffer.allocUnsafe(raw.length + this.size);
    raw.copy(this.whole);
  }

  private body(payload: Buffer): void {
    if (this.received + payload.length > this.size)
      throw new AmqpError('FRAME_ERROR', 'more body than the content header announced');
    if (this.whole) payload.copy(this.whole, this.propertiesLength + this.received);
    else this.parts.push(Buffer.from(payload));
    this.received += payload.length;
  }

  private finish(): Incoming {
    const content = this.whole ?? Buffer.concat(this.parts);
    return { publish: this.publish, properties: this.properties, content, propertiesLength: this.propertiesLength };
  }
}
