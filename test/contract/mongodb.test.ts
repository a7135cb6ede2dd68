import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Binary,
  BSONRegExp,
  Decimal128,
  Double,
  Int32,
  Long,
  MongoClient,
  MongoServerError,
  ObjectId,
  Timestamp,
  UUID,
  type Collection,
  type Db,
} from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDocumentServer, type DocumentServer } from '../../services/mongodb/embedded/server.js';
import { MEMT_ENV, type Launch } from '../../src/model/launch.js';
import { poll } from '../../src/util/deadline.js';
import { ENTRIES } from '../../src/util/entries.js';
import { layoutOf } from '../../src/util/layout.js';

const folder = mkdtempSync(join(tmpdir(), 'memt-mongodb-'));
let server: DocumentServer;
let client: MongoClient;
let db: Db;
let number = 0;
let items: Collection;

beforeAll(async () => {
  server = await createDocumentServer({
    dataDir: join(folder, 'data'),
    owner: { project: 'sample', id: 'abc' },
    ttlIntervalMs: 50,
  });
  client = await new MongoClient(`mongodb://127.0.0.1:${server.port}`).connect();
  db = client.db('contract');
});
afterAll(async () => {
  await client.close();
  await server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  items = db.collection(`items${(number += 1)}`);
});

async function refusal(work: Promise<unknown>): Promise<MongoServerError> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(MongoServerError);
  return error as MongoServerError;
}

describe('who it is', () => {
  it('answers hello as a writable standalone 7.0 and says whose it is', async () => {
    const hello = await db.command({ hello: 1 });
    expect(hello).toMatchObject({
      isWritablePrimary: true,
      maxWireVersion: 21,
      memt: { project: 'sample', id: 'abc' },
      ok: 1,
    });
    expect(hello['topologyVersion']).toBeUndefined();
    expect(await db.admin().buildInfo()).toMatchObject({ version: '7.0.0', memtEmbedded: true, memt: { id: 'abc' } });
  });

  it.each([
    'ping',
    'serverStatus',
    'hostInfo',
    'getCmdLineOpts',
    'connectionStatus',
    'whatsmyuri',
    'dbStats',
    'startSession',
    'listCommands',
  ])('%s', async (name) => {
    expect(await db.admin().command({ [name]: 1 })).toMatchObject({ ok: 1 });
  });

  it('answers what mongosh asks at its start', async () => {
    expect(await db.admin().command({ getLog: 'startupWarnings' })).toMatchObject({ totalLinesWritten: 1 });
    expect(await db.admin().command({ getParameter: 1, featureCompatibilityVersion: 1 })).toMatchObject({
      featureCompatibilityVersion: { version: '7.0' },
    });
    expect((await refusal(db.admin().command({ replSetGetStatus: 1 }))).code).toBe(76);
  });
});

describe('documents', () => {
  it('inserts, finds, updates, replaces, deletes', async () => {
    const { insertedId } = await items.insertOne({ name: 'ann', tags: ['a', 'b'] });
    expect(await items.findOne({ tags: 'b' })).toMatchObject({ _id: insertedId, name: 'ann' });
    expect(await items.updateOne({ name: 'ann' }, { $set: { age: 5 }, $push: { tags: 'c' } } as never)).toMatchObject({
      matchedCount: 1,
      modifiedCount: 1,
    });
    expect(await items.updateOne({ name: 'ann' }, { $set: { age: 5 } })).toMatchObject({
      matchedCount: 1,
      modifiedCount: 0,
    });
    expect(await items.replaceOne({ name: 'ann' }, { name: 'bob' })).toMatchObject({ modifiedCount: 1 });
    expect(await items.findOne()).toEqual({ _id: insertedId, name: 'bob' });
    expect(await items.deleteMany({})).toMatchObject({ deletedCount: 1 });
    expect(await items.countDocuments()).toBe(0);
  });

  it('bulkWrite runs every kind, ordered and unordered', async () => {
    const result = await items.bulkWrite([
      { insertOne: { document: { _id: 1 as never, n: 1 } } },
      { updateOne: { filter: { _id: 1 as never }, update: { $inc: { n: 1 } } } },
      { updateMany: { filter: { n: 9 }, update: { $set: { x: 1 } }, upsert: true } },
      { deleteOne: { filter: { n: 9 } } },
    ]);
    expect(result).toMatchObject({ insertedCount: 1, modifiedCount: 1, upsertedCount: 1, deletedCount: 1 });
    const error = await refusal(
      items.insertMany([{ _id: 2 as never }, { _id: 1 as never }, { _id: 3 as never }], { ordered: false }),
    );
    expect(error.code).toBe(11000);
    expect(await items.countDocuments()).toBe(3);
  });

  it('findOneAndUpdate upserts once, also when sixteen race', async () => {
    const all = await Promise.all(
      Array.from({ length: 16 }, () =>
        items.findOneAndUpdate(
          { key: 'k' },
          { $inc: { n: 1 }, $setOnInsert: { born: true } },
          { upsert: true, returnDocument: 'after' },
        ),
      ),
    );
    expect(await items.find().toArray()).toMatchObject([{ key: 'k', n: 16, born: true }]);
    expect(new Set(all.map((doc) => doc?.['n'] as number)).size).toBe(16);
  });

  it('changes array elements by $, $[] and $[name]', async () => {
    await items.insertOne({
      _id: 1 as never,
      a: [
        { k: 1, v: 1 },
        { k: 2, v: 2 },
      ],
      n: [1, 5, 9],
    });
    await items.updateOne({ 'a.k': 2 }, { $set: { 'a.$.v': 20 } });
    await items.updateOne({}, { $inc: { 'n.$[]': 1 } });
    await items.updateOne({}, { $set: { 'n.$[big]': 0 } }, { arrayFilters: [{ big: { $gte: 6 } }] });
    expect(await items.findOne()).toEqual({
      _id: 1,
      a: [
        { k: 1, v: 1 },
        { k: 2, v: 20 },
      ],
      n: [2, 0, 0],
    });
  });

  it('keeps every BSON type as it was sent', async () => {
    const sent = {
      _id: new ObjectId(),
      int: new Int32(5),
      long: Long.fromString('9007199254740993'),
      double: new Double(5),
      decimal: Decimal128.fromString('1.50'),
      date: new Date('2020-02-03T04:05:06.007Z'),
      binary: new Binary(Buffer.from([0, 1, 255]), 0),
      uuid: new UUID(),
      regex: new BSONRegExp('^a', 'i'),
      stamp: new Timestamp({ t: 7, i: 8 }),
      none: null,
      text: 'zażółć 🎈',
      nested: { list: [new Int32(1), [true, { deep: new Double(-0) }]] },
    };
    await items.insertOne(sent);
    const got = await items.findOne({}, { promoteValues: false, bsonRegExp: true });
    expect(got).toEqual(sent);
    await items.updateOne({}, { $inc: { int: 1, long: 1, double: 1, decimal: 1 } });
    expect(await items.findOne({}, { promoteValues: false, bsonRegExp: true })).toMatchObject({
      int: new Int32(6),
      long: Long.fromString('9007199254740994'),
      double: new Double(6),
      decimal: Decimal128.fromString('2.50'),
    });
  });

  it('carries a document of 15 MB, refuses one above 16 MiB', async () => {
    const text = 'x'.repeat(15_000_000);
    await items.insertOne({ text });
    expect((await items.findOne())?.['text']).toBe(text);
    await items.insertOne({ _id: 1 as never, text: 'y'.repeat(9_000_000) });
    expect(
      (await refusal(items.updateOne({ _id: 1 as never }, [{ $set: { twice: { $concat: ['$text', '$text'] } } }])))
        .code,
    ).toBe(10334);
  });
});

describe('indexes', () => {
  it('a unique violation is 11000 with keyPattern and keyValue', async () => {
    await items.createIndex({ mail: 1, site: -1 }, { unique: true }, {});
    await items.insertOne({ mail: 'a', site: 1 });
    const error = await refusal(items.insertOne({ mail: 'a', site: 1 }));
    expect(error.code).toBe(11000);
    expect(error.errorResponse).toMatchObject({ keyPattern: { mail: 1, site: -1 }, keyValue: { mail: 'a', site: 1 } });
    await items.insertOne({ mail: 'a', site: 2 });
    expect((await refusal(items.updateOne({ site: 2 }, { $set: { site: 1 } }))).code).toBe(11000);
    expect((await refusal(items.createIndex({ mail: 1 }, { unique: true }, {}))).code).toBe(11000);
    expect((await items.indexes()).map((index) => index['name'] as string)).toEqual(['_id_', 'mail_1_site_-1']);
  });

  it('a partial unique index binds only its documents', async () => {
    await items.createIndex({ mail: 1 }, { unique: true, partialFilterExpression: { active: true } }, {});
    await items.insertMany([{ mail: 'a' }, { mail: 'a' }, { mail: 'a', active: true }]);
    expect((await refusal(items.insertOne({ mail: 'a', active: true }))).code).toBe(11000);
    expect(await items.countDocuments({ mail: 'a' })).toBe(3);
    expect(await items.countDocuments({ mail: 'a', active: true })).toBe(1);
  });

  it('gives the same answers with and without an index', async () => {
    const values = [
      null,
      0,
      1,
      1.5,
      -3,
      'a',
      'b',
      '',
      true,
      false,
      new Date(5),
      [1, 2],
      [],
      ['a', 5],
      { x: 1 },
      Long.fromNumber(7),
      Decimal128.fromString('1.5'),
    ];
    await items.insertMany(values.map((v, i) => ({ _id: i as never, v })));
    await items.insertOne({ _id: 99 as never });
    const queries = [
      { v: 1 },
      { v: 1.5 },
      { v: { $gt: 0 } },
      { v: { $gte: 1, $lt: 6 } },
      { v: null },
      { v: { $in: [1, 'a', null] } },
      { v: { $gt: '' } },
      { v: [] },
      { v: { $lte: new Date(9) } },
      { v: { $ne: 1 } },
      { v: { $exists: false } },
      { v: { $gt: 1, $exists: true } },
      { v: { x: 1 } },
      { v: { $not: { $gt: 0 } } },
    ];
    const answers = async () =>
      Promise.all(
        queries.map(async (query) =>
          (await items.find(query as never).toArray()).map((doc) => Number(doc._id)).sort((a, b) => a - b),
        ),
      );
    const sorts = async () => [
      (await items.find().sort({ v: 1, _id: 1 }).toArray()).map((doc) => Number(doc._id)),
      (await items.find().sort({ v: -1, _id: 1 }).toArray()).map((doc) => Number(doc._id)),
    ];
    const [plain, order] = [await answers(), await sorts()];
    await items.createIndex({ v: 1 });
    expect(await answers()).toEqual(plain);
    expect(await sorts()).toEqual(order);
    const plan = await items.find({ v: 1 }).explain('queryPlanner');
    expect(JSON.stringify(plan)).toContain('IXSCAN');
    expect(plain[0]).toEqual([2, 11]);
  });

  it('TTL removes what is over and nothing else', async () => {
    await items.createIndex({ at: 1 }, { expireAfterSeconds: 60 }, {});
    await items.insertMany([
      { _id: 1 as never, at: new Date(Date.now() - 61_000) },
      { _id: 2 as never, at: new Date() },
      { _id: 3 as never, at: 'text' },
      { _id: 4 as never },
    ]);
    const left = await poll(
      async () => ((await items.countDocuments()) === 3 ? await items.distinct('_id') : undefined),
      { everyMs: 20, ms: 5_000, what: 'TTL' },
    );
    expect(left).toEqual([2, 3, 4]);
    expect(
      await db.command({ collMod: items.collectionName, index: { keyPattern: { at: 1 }, expireAfterSeconds: 10 } }),
    ).toMatchObject({ expireAfterSeconds_old: 60, expireAfterSeconds_new: 10 });
  });
});

describe('reading', () => {
  it('a cursor over several batches gives everything once', async () => {
    await items.insertMany(Array.from({ length: 1000 }, (_item, n) => ({ n })));
    const seen: number[] = [];
    for await (const doc of items.find().sort({ n: -1 }).batchSize(70)) seen.push(Number(doc['n']));
    expect(seen).toEqual(Array.from({ length: 1000 }, (_item, n) => 999 - n));
    expect((await items.find().skip(10).limit(5).sort({ n: 1 }).toArray()).map((doc) => Number(doc['n']))).toEqual([
      10, 11, 12, 13, 14,
    ]);
    const cursor = items.find().batchSize(2);
    await cursor.next();
    await cursor.close();
    expect(
      (await refusal(db.command({ getMore: Long.fromNumber(12345), collection: items.collectionName }))).code,
    ).toBe(43);
  });

  it('projects', async () => {
    await items.insertOne({ _id: 1 as never, a: 1, b: { c: 2, d: 3 }, l: [1, 2, 3, 4] });
    const project = async (projection: object, filter: object = {}) => items.findOne(filter, { projection });
    expect(await project({ a: 1 })).toEqual({ _id: 1, a: 1 });
    expect(await project({ b: { c: 1 }, _id: 0 })).toEqual({ b: { c: 2 } });
    expect(await project({ l: 0, 'b.c': 0 })).toEqual({ _id: 1, a: 1, b: { d: 3 } });
    expect(await project({ l: { $slice: [1, 2] }, b: 0 })).toEqual({ _id: 1, a: 1, l: [2, 3] });
    expect(await project({ 'l.$': 1 }, { l: { $gt: 2 } })).toEqual({ _id: 1, l: [3] });
    expect(await project({ s: { $add: ['$a', 1] }, _id: 0 })).toEqual({ s: 2 });
    expect((await refusal(project({ a: 1, b: 0 }))).code).toBe(31254);
  });

  it('aggregates', async () => {
    const other = db.collection(`${items.collectionName}b`);
    await items.insertMany([
      { k: 'x', n: 1, t: ['p', 'q'] },
      { k: 'x', n: 2, t: ['p'] },
      { k: 'y', n: 3, t: [] },
    ]);
    await other.insertMany([{ _id: 'x' as never, label: 'X' }]);
    expect(
      await items
        .aggregate([
          { $group: { _id: '$k', sum: { $sum: '$n' }, avg: { $avg: '$n' }, all: { $push: '$n' } } },
          { $sort: { _id: 1 } },
        ])
        .toArray(),
    ).toEqual([
      { _id: 'x', sum: 3, avg: 1.5, all: [1, 2] },
      { _id: 'y', sum: 3, avg: 3, all: [3] },
    ]);
    expect(await items.aggregate([{ $unwind: '$t' }, { $sortByCount: '$t' }]).toArray()).toEqual([
      { _id: 'p', count: 2 },
      { _id: 'q', count: 1 },
    ]);
    expect(
      await items
        .aggregate([
          { $match: { n: { $lt: 3 } } },
          { $lookup: { from: other.collectionName, localField: 'k', foreignField: '_id', as: 'o' } },
          { $project: { _id: 0, n: 1, label: { $first: '$o.label' } } },
        ])
        .toArray(),
    ).toEqual([
      { n: 1, label: 'X' },
      { n: 2, label: 'X' },
    ]);
    expect(
      await items
        .aggregate([
          {
            $facet: {
              few: [{ $sort: { n: 1 } }, { $limit: 1 }, { $project: { _id: 0, n: 1 } }],
              total: [{ $count: 'n' }],
            },
          },
        ])
        .toArray(),
    ).toEqual([{ few: [{ n: 1 }], total: [{ n: 3 }] }]);
    expect(await items.distinct('t')).toEqual(['p', 'q']);
  });
});

describe('refusals', () => {
  it.each([
    ['unknown stage', [{ $nope: 1 }], 40324],
    ['stage of a real server', [{ $geoNear: {} }], 238],
    ['unknown expression', [{ $project: { a: { $nope: 1 } } }], 168],
    ['JavaScript', [{ $project: { a: { $function: { body: '', args: [], lang: 'js' } } } }], 238],
  ])('%s', async (_name, pipeline, code) => {
    await items.insertOne({});
    expect((await refusal(items.aggregate(pipeline).toArray())).code).toBe(code);
  });

  it('names operators, arguments, commands and transactions that are not there', async () => {
    await items.insertOne({ a: 1 });
    expect((await refusal(items.findOne({ a: { $nope: 1 } } as never))).code).toBe(2);
    const where = await refusal(items.findOne({ $where: 'true' }));
    expect(where.code).toBe(238);
    expect(where.message).toContain('$where');
    expect((await refusal(items.updateOne({}, { $nope: { a: 1 } }))).code).toBe(9);
    expect((await refusal(items.updateOne({}, { $set: { a: 1 }, $inc: { a: 1 } }))).code).toBe(40);
    expect((await refusal(items.updateOne({}, { $set: { _id: 5 } }))).code).toBe(66);
    expect((await refusal(items.updateOne({}, { $inc: { a: 'x' } } as never))).code).toBe(14);
    const argument = await refusal(db.command({ find: items.collectionName, nope: 1 }));
    expect([argument.code, argument.message]).toEqual([40415, "BSON field 'find.nope' is an unknown field."]);
    expect((await refusal(db.command({ nope: 1 }))).code).toBe(59);
    expect((await refusal(db.command({ mapReduce: 'x' }))).code).toBe(238);
    expect((await refusal(items.find({}, { collation: { locale: 'pl' } }).toArray())).code).toBe(238);
    expect((await refusal(items.createIndex({ a: 'text' }))).code).toBe(238);
    expect((await refusal(db.createCollection('capped', { capped: true, size: 100 }))).code).toBe(238);
    expect(
      (await refusal(db.command({ insert: items.collectionName, documents: [{}], writeConcern: { w: 3 } }))).code,
    ).toBe(2);
    const session = client.startSession();
    const transaction = await refusal(session.withTransaction(() => items.insertOne({ b: 1 }, { session })));
    expect(transaction.code).toBe(263);
    expect(transaction.message).toContain('transactions');
    await session.endSession();
    expect(await items.countDocuments({ b: 1 })).toBe(0);
  });

  it('maxTimeMS ends a query that takes too long', async () => {
    await items.insertMany(Array.from({ length: 20_000 }, (_item, n) => ({ n, text: 'some words in a row' })));
    const slow = items
      .find({ text: { $regex: '(s|o|m|e|.)*(w|o|r|d|s|.)*x$' }, n: { $gte: 0 } }, { maxTimeMS: 5 })
      .toArray();
    expect((await refusal(slow)).code).toBe(50);
  });

  it('ends a connection that does not speak the protocol, and serves on', async () => {
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(16),
      Buffer.from([21, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0, 0, 0, 0, 0, 9]),
    ]) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume();
      socket.write(bytes);
      await once(socket, 'close', { signal: AbortSignal.timeout(2_000) });
    }
    expect(await db.command({ ping: 1 })).toMatchObject({ ok: 1 });
  });
});

describe('catalog', () => {
  it('renames, lists and drops', async () => {
    const home = client.db(`home${number}`);
    await home.collection('one').insertOne({ a: 1 });
    await home.createCollection('two');
    expect((await refusal(home.renameCollection('one', 'two'))).code).toBe(48);
    await home.renameCollection('one', 'three');
    expect((await home.listCollections({}, { nameOnly: true }).toArray()).map((entry) => entry.name).sort()).toEqual([
      'three',
      'two',
    ]);
    expect(await home.listCollections({ name: 'three' }).toArray()).toMatchObject([
      { name: 'three', type: 'collection' },
    ]);
    expect(
      (await client.db('admin').admin().listDatabases({ nameOnly: true })).databases.map((entry) => entry.name),
    ).toContain(home.databaseName);
    expect(await home.collection('three').drop()).toBe(true);
    expect(await home.dropDatabase()).toBe(true);
    expect(await home.listCollections().toArray()).toEqual([]);
  });
});

describe('the process', () => {
  const children = new Set<ChildProcess>();
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  async function freePort(): Promise<number> {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as { port: number };
    probe.close();
    await once(probe, 'close');
    return port;
  }

  async function start(root: string, port: number): Promise<ChildProcess> {
    const layout = layoutOf(root);
    mkdirSync(layout.launchDir, { recursive: true, mode: 0o700 });
    const launch: Launch = {
      schema: 1,
      project: 'sample',
      root,
      environment: 'local',
      unit: 'mongodb',
      env: {},
      umask: 0o022,
      settingsDigest: 'x',
      settings: {
        uri: null,
        host: '127.0.0.1',
        port,
        dataDir: join(root, 'data'),
        dataDirConfigured: false,
        binary: null,
        engine: 'embedded',
        adopt: false,
        database: 'sample',
      },
      engines: { mongodb: null, rabbitmq: null },
    };
    const file = join(layout.launchDir, 'mongodb.json');
    writeFileSync(file, JSON.stringify(launch));
    const child = fork(ENTRIES.mongodbEmbedded, {
      env: { ...process.env, [MEMT_ENV.launch]: file },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    await poll(
      () =>
        new Promise<true | undefined>((resolve, reject) => {
          if (child.exitCode !== null) reject(new Error(`exited with ${child.exitCode}`));
          const socket = connect(port, '127.0.0.1', () => {
            socket.destroy();
            resolve(true);
          });
          socket.on('error', () => resolve(undefined));
        }),
      { everyMs: 10, ms: 10_000, what: 'the embedded server' },
    );
    return child;
  }

  it('kill -9 under load loses nothing that was acknowledged', async () => {
    const root = mkdtempSync(join(folder, 'kill-'));
    const port = await freePort();
    const ledger = { inserted: new Set<number>(), increments: 0, majority: 0 };
    let next = 0;
    for (let round = 0; round < 3; round += 1) {
      const child = await start(root, port);
      const own = await new MongoClient(`mongodb://127.0.0.1:${port}`, { serverSelectionTimeoutMS: 500 }).connect();
      const docs = own.db('sample').collection('ledger');
      let alive = true;
      const before = ledger.inserted.size;
      const writers = Array.from({ length: 8 }, async () => {
        while (alive) {
          const id = (next += 1);
          try {
            await docs.insertOne({ _id: id as never, text: 'x'.repeat(id % 300) });
            ledger.inserted.add(id);
            await docs.updateOne({ _id: 'counter' as never }, { $inc: { n: 1 } }, { upsert: true });
            ledger.increments += 1;
          } catch {
            alive = false;
          }
        }
      });
      await poll(() => (ledger.inserted.size - before >= 300 ? true : undefined), {
        everyMs: 5,
        ms: 20_000,
        what: '300 inserts',
      });
      child.kill('SIGKILL');
      await Promise.all(writers);
      await own.close();
    }
    const child = await start(root, port);
    const own = await new MongoClient(`mongodb://127.0.0.1:${port}`).connect();
    const docs = own.db('sample').collection('ledger');
    const there = new Set(
      (await docs.find({ _id: { $type: 'number' } } as never, { projection: { _id: 1 } }).toArray()).map((doc) =>
        Number(doc._id),
      ),
    );
    expect([...ledger.inserted].filter((id) => !there.has(id))).toEqual([]);
    const counter = await docs.findOne({ _id: 'counter' as never });
    expect(Number(counter?.['n'])).toBeGreaterThanOrEqual(ledger.increments);
    await own.close();
    child.kill('SIGTERM');
    const began = performance.now();
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it('a taken port ends it with exit code 1', async () => {
    const root = mkdtempSync(join(folder, 'port-'));
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const child = await start(root, port);
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(1);
    holder.close();
    await once(holder, 'close');
  });
});
