import type { Channel } from './channel.js';

/** Publisher confirms of one channel: in order, as few frames as possible, durable messages only after they are on the disk. */
export class Confirms {
  private published = 0;
  private scheduled = 0;
  private confirmed = 0;
  private durable = false;
  private waiting = 0;
  private refused: number[] = [];

  constructor(
    private readonly channel: Channel,
    private readonly synced: () => Promise<void>,
  ) {}

  /** Counts a publish; what became of it is told to the client by a later `send`. */
  count(accepted: boolean, durable: boolean): void {
    this.published += 1;
    if (!accepted) this.refused.push(this.published);
    this.durable ||= durable;
  }

  /** Confirms what was counted since the last call. */
  send(): void {
    const upTo = this.published;
    if (upTo === this.scheduled) return;
    this.scheduled = upTo;
    const wait = this.durable || this.waiting > 0;
    this.durable = false;
    if (!wait) {
      this.answer(upTo);
      return;
    }
    this.waiting += 1;
    this.synced().then(
      () => {
        this.waiting -= 1;
        this.answer(upTo);
      },
      () => {
        this.waiting -= 1;
        this.refuse(upTo);
      },
    );
  }

  private answer(upTo: number): void {
    while (this.refused.length > 0 && (this.refused[0] ?? Infinity) <= upTo) {
      const tag = this.refused.shift() ?? 0;
      this.ack(tag - 1);
      this.refuse(tag);
    }
    this.ack(upTo);
  }

  private ack(upTo: number): void {
    if (upTo <= this.confirmed) return;
    this.channel.send('basic.ack', { deliveryTag: upTo, multiple: upTo - this.confirmed > 1 });
    this.confirmed = upTo;
  }

  private refuse(upTo: number): void {
    if (upTo <= this.confirmed) return;
    this.channel.send('basic.nack', { deliveryTag: upTo, multiple: upTo - this.confirmed > 1, requeue: false });
    this.confirmed = upTo;
  }
}
