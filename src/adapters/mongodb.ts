import type { Collection, MongoClient } from 'mongodb';
import { refusal, StoreUnavailable, type Begin, type Store, type TaskRecord } from '../ports/store.js';
import { withDeadline } from '../util/deadline.js';
import { asError } from '../util/errors.js';
import { redactUri } from '../util/redact.js';

/** Records of tasks: one document each, by id; `expireAt` is what the TTL index reads. */
interface Row extends Omit<TaskRecord, 'id' | 'startedAt' | 'finishedAt' | 'dueAt'> {
  readonly _id: string;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  readonly dueAt: Date | null;
  readonly expireAt: Date;
}
type Run = Parameters<Store['begin']>[0];

const OPERATION_MS = 5000;
const SELECTION_MS = 3000;
const CLOSE_MS = 1000;
/** A task that never reaches an outcome is forgotten this long after its last sign of life. */
const UNFINISHED_TTL_MS = 30 * 86_400_000;
const DUPLICATE_KEY = 11000;

/**
 * Outcomes in MongoDB, in the collection `memt.v1.<namespace>.tasks` of the database that the URI names, else of one named
 * after the namespace; the driver is loaded at first use.
 */
export function createMongoStore(options: {
  readonly uri: string;
  readonly name: string;
  readonly namespace: string;
}): Store {
  let client: MongoClient | null = null;
  let opening: Promise<Collection<Row>> | null = null;

  const open = async (): Promise<Collection<Row>> => {
    const { MongoClient } = await loadMongodb();
    client ??= new MongoClient(options.uri, {
      appName: options.name,
      maxPoolSize: 10,
      serverSelectionTimeoutMS: SELECTION_MS,
      connectTimeoutMS: SELECTION_MS,
      socketTimeoutMS: 2 * OPERATION_MS,
      writeConcern: { w: 'majority' },
    });
    // The driver gives up for good after a first connection that failed, unless it is asked to connect again.
    await client.connect();
    const named = client.options.dbName !== 'test';
    const rows = client.db(named ? undefined : options.namespace).collection<Row>(`memt.v1.${options.namespace}.tasks`);
    await rows.createIndexes([{ key: { expireAt: 1 }, name: 'expireAt_1', expireAfterSeconds: 0 }]);
    return rows;
  };

  /** Bounds an operation and gives its trouble one name. */
  const ask = async <T>(what: string, work: (rows: Collection<Row>) => Promise<T>): Promise<T> => {
    try {
      opening ??= open().catch((error: unknown) => {
        opening = null;
        throw error;
      });
      return await withDeadline(opening.then(work), OPERATION_MS, what);
    } catch (error) {
      // A wrong URI stays wrong, however often it is tried.
      if (error instanceof Error && error.name === 'MongoParseError') throw new TypeError(redactUri(error.message));
      throw new StoreUnavailable(redactUri(`MongoDB: ${asError(error).message}`), { cause: error });
    }
  };

  const insert = async (rows: Collection<Row>, row: Row): Promise<boolean> => {
    try {
      await rows.insertOne(row);
      return true;
    } catch (error) {
      if ((error as { code?: unknown }).code === DUPLICATE_KEY) return false;
      throw error;
    }
  };

  return {
    begin: (run) =>
      ask('begin', async (rows): Promise<Begin> => {
        if (await insert(rows, started(run))) return { kind: 'run', crashes: 0 };
        const before = await rows.findOneAndUpdate(
          {
            _id: run.id,
            $or: [
              { state: 'STARTED', attempt: { $lte: run.attempt } },
              { state: 'RETRY', attempt: { $lt: run.attempt } },
            ],
          },
          {
            $set: {
              state: 'STARTED',
              attempt: run.attempt,
              worker: run.worker,
              startedAt: new Date(),
              expireAt: expiry(UNFINISHED_TTL_MS),
            },
            $inc: { starts: 1 },
          },
          { returnDocument: 'before' },
        );
        if (before) return { kind: 'run', crashes: Math.max(0, before.starts - before.ends) };
        const row = await rows.findOne({ _id: run.id });
        // Expired between the two looks: then nothing is known of it any more.
        if (row === null) return { kind: 'run', crashes: 0 };
        return refusal(recordOf(row), run.attempt) ?? { kind: 'stale' };
      }),

    retry: (id, attempt, error, dueAt) =>
      ask('retry', async (rows) => {
        const { matchedCount } = await rows.updateOne(
          { _id: id, state: 'STARTED', attempt },
          {
            $set: { state: 'RETRY', error, dueAt: new Date(dueAt), expireAt: new Date(dueAt + UNFINISHED_TTL_MS) },
            $inc: { ends: 1 },
          },
        );
        if (matchedCount === 1) return true;
        const row = await rows.findOne({ _id: id });
        return row?.state === 'RETRY' && row.attempt === attempt;
      }),

    finish: (run, outcome) =>
      ask('finish', async (rows) => {
        const final = {
          state: outcome.state,
          attempt: run.attempt,
          result: outcome.result,
          error: outcome.error,
          finishedAt: new Date(),
          expireAt: expiry(outcome.ttlMs),
        };
        const { matchedCount } = await rows.updateOne(
          { _id: run.id, state: { $in: ['STARTED', 'RETRY'] }, attempt: { $lte: run.attempt } },
          { $set: final },
        );
        return matchedCount === 1 || (await insert(rows, { ...started(run), ...final }));
      }),

    release: (ids) =>
      ask('release', async (rows) => {
        await rows.updateMany({ _id: { $in: [...ids] }, state: 'STARTED' }, { $inc: { ends: 1 } });
      }),

    get: (id) =>
      ask('get', async (rows) => {
        const row = await rows.findOne({ _id: id });
        return row === null ? null : recordOf(row);
      }),

    async close() {
      const closing = client;
      client = null;
      opening = null;
      if (closing) await withDeadline(closing.close(), CLOSE_MS, 'close').catch(() => undefined);
    },
  };
}

function expiry(ttlMs: number): Date {
  return new Date(Date.now() + ttlMs);
}

function started(run: Run): Row {
  return {
    _id: run.id,
    task: run.task,
    state: 'STARTED',
    attempt: run.attempt,
    starts: 1,
    ends: 0,
    result: null,
    error: null,
    startedAt: new Date(),
    finishedAt: null,
    dueAt: null,
    worker: run.worker,
    expireAt: expiry(UNFINISHED_TTL_MS),
  };
}

function recordOf({ _id, expireAt: _expireAt, ...row }: Row): TaskRecord {
  return {
    ...row,
    id: _id,
    startedAt: row.startedAt.getTime(),
    finishedAt: row.finishedAt?.getTime() ?? null,
    dueAt: row.dueAt?.getTime() ?? null,
  };
}

/** Loads the driver, which takes a while: a process that will need it does so while it waits for something else. */
export function loadMongodb(): Promise<typeof import('mongodb')> {
  return import('mongodb');
}
