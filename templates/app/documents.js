// @ts-check
import { MongoClient, MongoNetworkError, MongoServerSelectionError } from 'mongodb';

/**
 * @typedef {import('./words.js').WordCount} WordCount
 * @typedef {{ _id: string, state: 'pending' | 'done' | 'failed', words: number | null, top: WordCount[] | null, createdAt: Date }} Document
 * @typedef {{ _id: string, bytes: import('mongodb').Binary }} Text
 */

// Connects at the first query, with the database that the URI names. Every process has a pool of its own: keep it small.
const client = new MongoClient(process.env.MONGODB_URI ?? 'mongodb://127.0.0.1:27017/memt', {
  maxPoolSize: 5,
  serverSelectionTimeoutMS: 3000,
  socketTimeoutMS: 10_000,
});

/** @type {import('mongodb').Collection<Document>} */
const documents = client.db().collection('documents');
/**
 * The texts apart from what is known of them: asking for a state must not move 16 MB, and neither must writing one.
 *
 * @type {import('mongodb').Collection<Text>}
 */
const texts = client.db().collection('texts');

/**
 * @param {string} id
 * @param {Uint8Array} bytes UTF-8
 */
export async function storeText(id, bytes) {
  // As bytes: a string could grow beyond the 16 MiB that a document may have.
  await texts.insertOne({ _id: id, bytes: /** @type {any} */ (bytes) });
  await documents.insertOne({ _id: id, state: 'pending', words: null, top: null, createdAt: new Date() });
}

/** @param {string} id */
export async function storeEmpty(id) {
  await documents.insertOne({ _id: id, state: 'pending', words: null, top: null, createdAt: new Date() });
}

/** @param {string} id */
export async function removeDocument(id) {
  await Promise.all([documents.deleteOne({ _id: id }), texts.deleteOne({ _id: id })]);
}

/** @param {string} id */
export function findDocument(id) {
  return documents.findOne({ _id: id });
}

/**
 * @param {string} id
 * @returns {Promise<Uint8Array | null>}
 */
export async function readText(id) {
  const text = await texts.findOne({ _id: id });
  return text ? text.bytes.value() : null;
}

/**
 * @param {string} id
 * @param {{ words: number, top: WordCount[] }} result
 */
export async function storeResult(id, { words, top }) {
  await documents.updateOne({ _id: id }, { $set: { state: 'done', words, top } });
}

/** @param {string} id */
export async function storeFailure(id) {
  await documents.updateOne({ _id: id, state: 'pending' }, { $set: { state: 'failed' } });
}

/**
 * True when the database cannot be reached now: worth another try later.
 *
 * @param {unknown} error
 */
export function isDatabaseAway(error) {
  return error instanceof MongoNetworkError || error instanceof MongoServerSelectionError;
}
