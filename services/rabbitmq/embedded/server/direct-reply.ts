import { randomBytes } from 'node:crypto';
import { refused } from '../engine/trouble.js';
import type { Channel } from './channel.js';

/** The queue name that stands for "answer me on this channel". */
export const REPLY_TO = 'amq.rabbitmq.reply-to';

/** Direct reply-to: answers go straight to the channel that asked, without a queue, and are lost when it is gone. */
export class DirectReply {
  private token: string | null = null;
  private consumerTag = '';

  constructor(private readonly channel: Channel) {}

  get active(): boolean {
    return this.token !== null;
  }

  start(consumerTag: string): void {
    if (this.token !== null) throw refused('reply consumer already set');
    this.token = randomBytes(12).toString('base64url');
    this.consumerTag = consumerTag;
    this.replies.set(this.token, this.channel);
  }

  /** True when the tag was its consumer's. */
  cancel(consumerTag: string): boolean {
    if (this.token === null || consumerTag !== this.consumerTag) return false;
    this.end();
    return true;
  }

  end(): void {
    if (this.token !== null) this.replies.delete(this.token);
    this.token = null;
  }

  /** What a request from this channel carries as its address for the answer. @throws AmqpError 406 without a consumer */
  address(): string {
    if (this.token === null) throw refused('fast reply consumer does not exist');
    return `${REPLY_TO}.${this.token}`;
  }

  /** True while somebody listens at this address. */
  known(address: string): boolean {
    return this.replies.has(address.slice(REPLY_TO.length + 1));
  }

  /** Sends an answer to the channel behind `address`; false when it is gone. */
  deliver(address: string, content: Buffer, propertiesLength: number): boolean {
    const target = this.replies.get(address.slice(REPLY_TO.length + 1));
    if (!target) return false;
    target.directReply.receive(address, content, propertiesLength);
    return true;
  }

  private receive(address: string, content: Buffer, propertiesLength: number): void {
    const { channel } = this;
    channel.send('basic.deliver', {
      consumerTag: this.consumerTag,
      deliveryTag: channel.nextTag(),
      redelivered: false,
      exchange: '',
      routingKey: address,
    });
    channel.sendContent(content, propertiesLength);
  }

  private get replies(): Map<string, Channel> {
    return this.channel.connection.context.replies;
  }
}
