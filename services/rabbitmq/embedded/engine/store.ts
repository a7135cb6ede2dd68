import type { FailureError } from '../../../../src/model/failure.js';
import { compactionDue, openWal, RECORD_OVERHEAD, type Disk, type Wal } from '../../../../src/wal/wal.js';
import {
  decodeRecord,
  encodeDelivered,
  encodeMessage,
  encodeRemoved,
  encodeTopology,
  type StoredMessage,
  type Topology,
} from './journal.js';
import type { Entry, Message } from './message.js';

/** What a data directory held, ready to be built up again. */
export interface Recovered {
  readonly topology: readonly Topology[];
  /** Messages that lie somewhere, in the order of publishing, with what is left of their places. */
  readonly messages: Iterable<StoredMessage>;
}

export interface StoreOptions {
  /** One sentence about what had to be repaired. */
  readonly onRepair: (text: string) => void;
  readonly onFailed: (error: FailureError) => void;
  readonly onCompacted: (error: unknown) => void;
  /** Replaced by tests of full disks. */
  readonly disk?: Disk;
}

/** Estimated bytes of a message's record beside its content. */
const MESSAGE_OVERHEAD = RECORD_OVERHEAD + 64;

/** Topology and durable messages on disk. Removals and deliveries are gathered into one record per event-loop turn. */
export class Store {
  private lastMessage = 0;
  private lastQueue = 0;
  /** Every message with a place that must survive, in the order of publishing. */
  private readonly live = new Set<Message>();
  private liveBytes = 0;
  private removals: Entry[] = [];
  private deliveries: Entry[] = [];
  private flushing: NodeJS.Immediate | null = null;

  private constructor(
    private readonly wal: Wal,
    private readonly options: StoreOptions,
    private readonly topology: () => Iterable<Topology>,
  ) {}

  /** @throws FailureError as `openWal` does. `topology` gives what a snapshot must hold. */
  static async open(
    dir: string,
    options: StoreOptions,
    topology: () => Iterable<Topology>,
  ): Promise<{ store: Store; recovered: Recovered }> {
    const replay = new Replay();
    const wal = await openWal(dir, {
      onRecord: (payload) => replay.record(payload),
      onRepair: options.onRepair,
      onFailed: options.onFailed,
      ...(options.disk ? { disk: options.disk } : {}),
    });
    const store = new Store(wal, options, topology);
    store.lastMessage = replay.lastMessage;
    store.lastQueue = replay.lastQueue;
    return { store, recovered: replay };
  }

  get failure(): FailureError | null {
    return this.wal.failure;
  }

  get bytes(): number {
    return this.wal.totalBytes;
  }

  nextMessage(): number {
    return (this.lastMessage += 1);
  }

  nextQueue(): number {
    return (this.lastQueue += 1);
  }

  declare(topology: Topology): void {
    this.flush();
    this.wal.append(encodeTopology(topology));
  }

  /** Logs a new message with the entries in `message.logged`. */
  add(message: Message): void {
    this.wal.append(encodeMessage(message, message.logged));
    this.adopt(message);
  }

  /** Counts a message that the log holds already. */
  adopt(message: Message): void {
    this.live.add(message);
    this.liveBytes += MESSAGE_OVERHEAD + message.content.length;
  }

  delivered(entry: Entry): void {
    if (!entry.message.logged.includes(entry)) return;
    this.deliveries.push(entry);
    this.schedule();
  }

  removed(entry: Entry): void {
    const { message } = entry;
    const at = message.logged.indexOf(entry);
    if (at < 0) return;
    message.logged.splice(at, 1);
    this.removals.push(entry);
    if (message.logged.length === 0) {
      this.live.delete(message);
      this.liveBytes -= MESSAGE_OVERHEAD + message.content.length;
    }
    this.schedule();
  }

  /** Resolves when everything so far is on the disk. @throws FailureError */
  synced(): Promise<void> {
    return this.wal.synced();
  }

  async close(): Promise<void> {
    this.flush();
    await this.wal.close();
  }

  private schedule(): void {
    this.flushing ??= setImmediate(() => this.flush());
  }

  private flush(): void {
    if (this.flushing) clearImmediate(this.flushing);
    this.flushing = null;
    if (this.deliveries.length > 0) this.wal.append(encodeDelivered(this.deliveries));
    if (this.removals.length > 0) this.wal.append(encodeRemoved(this.removals));
    this.deliveries = [];
    this.removals = [];
    if (compactionDue(this.wal, this.liveBytes)) this.compact();
  }

  /** Replay of what comes after a snapshot is harmless for what the snapshot already knows, so live objects may be drawn lazily. */
  private compact(): void {
    const topology = [...this.topology()].map(encodeTopology);
    const messages = [...this.live];
    function* records(): Generator<Buffer | readonly Buffer[]> {
      yield* topology;
      for (const message of messages) if (message.logged.length > 0) yield encodeMessage(message, message.logged);
    }
    this.wal.snapshot(records()).catch((error: unknown) => this.options.onCompacted(error));
  }
}

/** Builds the state that the records describe. */
class Replay implements Recovered {
  readonly topology: Topology[] = [];
  lastMessage = 0;
  lastQueue = 0;
  private readonly byId = new Map<
    number,
    { readonly message: Omit<StoredMessage, 'places'>; readonly places: Map<number, number> }
  >();

  get messages(): Iterable<StoredMessage> {
    return [...this.byId.values()].map(({ message, places }) => ({
      ...message,
      places: [...places].map(([queue, deliveries]) => ({ queue, deliveries })),
    }));
  }

  record(payload: Buffer): void {
    const record = decodeRecord(payload);
    switch (record.kind) {
      case 'topology':
        this.topology.push(record.topology);
        if (record.topology.op === 'queue') this.lastQueue = Math.max(this.lastQueue, record.topology.id);
        return;
      case 'message': {
        const { places, ...message } = record.message;
        this.lastMessage = Math.max(this.lastMessage, message.id);
        this.byId.set(message.id, { message, places: new Map(places.map((place) => [place.queue, place.deliveries])) });
        return;
      }
      case 'removed':
        for (const { queue, message } of record.entries) {
          const known = this.byId.get(message);
          known?.places.delete(queue);
          if (known?.places.size === 0) this.byId.delete(message);
        }
        return;
      case 'delivered':
        for (const { queue, message, deliveries } of record.entries) {
          const places = this.byId.get(message)?.places;
          if (places?.has(queue)) places.set(queue, deliveries);
        }
    }
  }
}
