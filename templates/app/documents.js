// @ts-check
import { MongoClient, MongoNetworkError, MongoServerSelectionError } from 'mongodb';

/**
 * @typedef {import('./words.js').WordCount} WordCount
 * @typedef {{ _id: string, state: 'pending' | 'done' | 'failed', words: number | null, top: WordCount[] | null, createdAt: Date }} Document
 * @typedef {{ _id: string, bytes: import('mongodb').Binary }} Text
 */

// The database is the one that the URI names. Every process has a pool of its own: keep it small.
const client = new MongoClient(process.env.MONGODB_URI ?? 'mongodb://127.0.0.1:27017/memt', {
  maxPoolSize: 5,
  serverSelectionTimeoutMS: 3000,
  socketTimeoutMS: 10_000,
});

/**
 * Connects first: the driver gives up for good after a first connection that failed, unless it is asked to try again.
 *
 * @returns {Promise<import('mongodb').Collection<Document>>}
 */
async function documents() {
  return (await client.connect()).db().collection('documents');
}

/**
 * The texts apart from what is known of them: asking for a state must not move 16 MB, and neither must writing one.
 *
 * @returns {Promise<import('mongodb').Collection<Text>>}
 */
async function texts() {
  return (await client.connect()).db().collection('texts');
}

/**
 * @param {string} id
 * @param {Uint8Array} bytes UTF-8
 */
export async function storeText(id, bytes) {
  // As bytes: a string could grow beyond the 16 MiB that a document may have.
  await (await texts()).insertOne({ _id: id, bytes: /** @type {any} */ (bytes) });
  await (await documents()).insertOne({ _id: id, state: 'pending', words: null, top: null, createdAt: new Date() });
}

/** @param {string} id */
export async function storeEmpty(id) {
  await (await documents()).insertOne({ _id: id, state: 'pending', words: null, top: null, createdAt: new Date() });
}

/** @param {string} id */
export async function removeDocument(id) {
  await (await documents()).deleteOne({ _id: id });
  await (await texts()).deleteOne({ _id: id });
}

/** @param {string} id */
export async function findDocument(id) {
  return (await documents()).findOne({ _id: id });
}

/**
 * @param {string} id
 * @returns {Promise<Uint8Array | null>}
 */
export async function readText(id) {
  const text = await (await texts()).findOne({ _id: id });
  return text ? text.bytes.value() : null;
}

/**
 * @param {string} id
 * @param {{ words: number, top: WordCount[] }} result
 */
export async function storeResult(id, { words, top }) {
  await (await documents()).updateOne({ _id: id }, { $set: { state: 'done', words, top } });
}

/** @param {string} id */
export async function storeFailure(id) {
  await (await documents()).updateOne({ _id: id, state: 'pending' }, { $set: { state: 'failed' } });
}

/**
 * True when the database cannot be reached now: worth another try later.
 *
 * @param {unknown} error
 */
export function isDatabaseAway(error) {
  return error instanceof MongoNetworkError || error instanceof MongoServerSelectionError;
}
