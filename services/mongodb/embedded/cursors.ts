import { Raw, type OutDoc } from './bson/encode.js';
import { ServerError } from './bson/server-error.js';

const FIRST_BATCH = 101;
const BATCH_BYTES = 16 * 1024 * 1024 - 16 * 1024;
const IDLE_MS = 10 * 60_000;

interface Cursor {
  readonly namespace: string;
  readonly size: number;
  /** The bytes of one result, made when it is sent. */
  readonly render: (at: number) => Buffer;
  position: number;
  lastUsed: number;
  readonly keep: boolean;
}

/** Open cursors: each is a fixed result at the moment of the query, sent batch by batch. */
export class Cursors {
  private readonly open = new Map<bigint, Cursor>();
  private last = BigInt(Date.now()) << 20n;

  get count(): number {
    return this.open.size;
  }

  /** The `cursor` answer with the first batch. `items` are rendered when they are sent. */
  first<T>(
    namespace: string,
    items: readonly T[],
    render: (item: T) => Buffer,
    options: { readonly batchSize: number | undefined; readonly single?: boolean; readonly keep?: boolean },
  ): OutDoc {
    const cursor: Cursor = {
      namespace,
      size: items.length,
      render: (at) => render(items[at] as T),
      position: 0,
      lastUsed: Date.now(),
      keep: options.keep === true,
    };
    const batch = take(cursor, options.batchSize ?? FIRST_BATCH);
    let id = 0n;
    if (cursor.position < cursor.size && options.single !== true) {
      this.expire();
      id = this.last += 1n;
      this.open.set(id, cursor);
    }
    return answer('firstBatch', batch, id, namespace);
  }

  /** @throws ServerError 43 CursorNotFound */
  more(id: bigint, namespace: string, batchSize: number | undefined): OutDoc {
    this.expire();
    const cursor = this.open.get(id);
    if (!cursor) throw new ServerError(43, `cursor id ${id} not found`);
    if (cursor.namespace !== namespace) {
      throw new ServerError(
        13,
        `Requested getMore on namespace '${namespace}', but cursor belongs to a different namespace ${cursor.namespace}`,
      );
    }
    cursor.lastUsed = Date.now();
    const batch = take(cursor, batchSize === undefined || batchSize === 0 ? Infinity : batchSize);
    const done = cursor.position >= cursor.size;
    if (done) this.open.delete(id);
    return answer('nextBatch', batch, done ? 0n : id, namespace);
  }

  kill(id: bigint): boolean {
    return this.open.delete(id);
  }

  private expire(): void {
    const oldest = Date.now() - IDLE_MS;
    for (const [id, cursor] of this.open) if (!cursor.keep && cursor.lastUsed < oldest) this.open.delete(id);
  }
}

function take(cursor: Cursor, most: number): Raw[] {
  const batch: Raw[] = [];
  let bytes = 0;
  while (batch.length < most && cursor.position < cursor.size) {
    const next = cursor.render(cursor.position);
    if (batch.length > 0 && bytes + next.length > BATCH_BYTES) break;
    bytes += next.length + 8;
    batch.push(new Raw(next));
    cursor.position += 1;
  }
  return batch;
}

function answer(name: string, batch: readonly Raw[], id: bigint, namespace: string): OutDoc {
  const cursor = new Map<string, unknown>([
    [name, batch],
    ['id', id],
    ['ns', namespace],
  ]);
  return new Map<string, unknown>([['cursor', cursor]]);
}
