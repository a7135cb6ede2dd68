// @ts-check
import { randomUUID } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { findDocument, isDatabaseAway, removeDocument, storeEmpty, storeFailure, storeText } from './documents.js';
import { count, fail, tasks } from './tasks.js';

/**
 * @typedef {import('node:http').IncomingMessage} Request
 * @typedef {import('node:http').ServerResponse} Response
 */

const MAX_BYTES = 16_000_000;
/** How long a refused upload is read on and thrown away, so that the client comes to read the answer, in ms. */
const LINGER_MS = 1000;

const page = await readFile(new URL('index.html', import.meta.url));

/** An answer that is not the expected one. */
class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {Record<string, string>} [headers]
   */
  constructor(status, message, headers = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/**
 * The web application: memt's web server calls this for every request.
 *
 * @param {Request} request
 * @param {Response} response
 */
export async function app(request, response) {
  try {
    await route(request, response);
  } catch (error) {
    refuse(request, response, refusalOf(error));
  }
}

/**
 * @param {Request} request
 * @param {Response} response
 */
async function route(request, response) {
  const pathname = (request.url ?? '/').split('?', 1)[0] ?? '';
  const id = /^\/documents\/([^/]+)$/.exec(pathname)?.[1];
  if (pathname === '/') {
    allow(request, 'GET, HEAD');
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': page.length }).end(page);
  } else if (pathname === '/documents') {
    allow(request, 'POST');
    await postDocument(request, response);
  } else if (pathname === '/failures') {
    allow(request, 'POST');
    await postFailure(response);
  } else if (id !== undefined) {
    allow(request, 'GET, HEAD');
    await getDocument(id, response);
  } else {
    throw new Refusal(404, `there is nothing at ${pathname}`);
  }
}

/**
 * Stores a text and has its words counted: 202 as soon as both the text and the task are safe.
 *
 * @param {Request} request
 * @param {Response} response
 */
async function postDocument(request, response) {
  const type = (request.headers['content-type'] ?? '').toLowerCase().split(';');
  const charset = type.slice(1).find((part) => part.trim().startsWith('charset='));
  if (type[0]?.trim() !== 'text/plain' || !/^(charset="?utf-?8"?)?$/.test(charset?.trim() ?? '')) {
    throw new Refusal(415, 'send text/plain in UTF-8');
  }
  const bytes = await readBody(request);
  if (bytes.length === 0) throw new Refusal(400, 'the document is empty');
  if (!isUtf8(bytes)) throw new Refusal(400, 'the document is not UTF-8');
  const id = randomUUID();
  try {
    await storeText(id, bytes);
    await count.enqueue(id, { id });
  } catch (error) {
    await forget(id, error);
    throw error;
  }
  accepted(response, id);
}

/**
 * A document whose task fails.
 *
 * @param {Response} response
 */
async function postFailure(response) {
  const id = randomUUID();
  try {
    await storeEmpty(id);
    await fail.enqueue(id, { id });
  } catch (error) {
    await forget(id, error);
    throw error;
  }
  accepted(response, id);
}

/**
 * @param {string} id
 * @param {Response} response
 */
async function getDocument(id, response) {
  const document = await findDocument(id);
  if (document === null) throw new Refusal(404, `there is no document ${id}`);
  const { words, top } = document;
  let { state } = document;
  if (state === 'pending') {
    // A task that failed for good wrote nothing into its document, but memt knows its outcome.
    const task = await tasks.handle(id).state();
    if (task === 'FAILURE' || task === 'DEAD') {
      state = 'failed';
      await storeFailure(id);
    }
  }
  json(response, 200, { id, state, words, top });
}

/**
 * @param {Request} request
 * @returns {Promise<Buffer>}
 */
async function readBody(request) {
  const tooLong = new Refusal(413, `a document may be ${MAX_BYTES} bytes long`);
  if (Number(request.headers['content-length'] ?? 0) > MAX_BYTES) throw tooLong;
  /** @type {Buffer[]} */
  const chunks = [];
  let length = 0;
  // Not `for await`: leaving that early would destroy the connection before the answer is sent.
  return new Promise((resolve, reject) => {
    request.on('data', (/** @type {Buffer} */ chunk) => {
      length += chunk.length;
      if (length > MAX_BYTES) {
        chunks.length = 0;
        reject(tooLong);
      } else {
        chunks.push(chunk);
      }
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
    request.on('close', () => reject(new Error('the client went away')));
  });
}

/**
 * A document without a task would stay pending for ever. When the database itself is away, nobody got to know its id.
 *
 * @param {string} id
 * @param {unknown} why
 */
async function forget(id, why) {
  if (isDatabaseAway(why)) return;
  await removeDocument(id).catch((error) => console.warn(`document ${id} stays behind: ${error.message}`));
}

/**
 * @param {Request} request
 * @param {string} methods
 */
function allow(request, methods) {
  if (!methods.split(', ').includes(request.method ?? '')) {
    throw new Refusal(405, `use ${methods}`, { allow: methods });
  }
}

/**
 * @param {Response} response
 * @param {string} id
 */
function accepted(response, id) {
  json(response, 202, { id }, { location: `/documents/${id}` });
}

/**
 * @param {Response} response
 * @param {number} status
 * @param {unknown} value
 * @param {Record<string, string>} [headers]
 */
function json(response, status, value, headers = {}) {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

/**
 * @param {unknown} error
 * @returns {Refusal}
 */
function refusalOf(error) {
  if (error instanceof Refusal) return error;
  // memt's own errors say by themselves that they are worth another try.
  const away = isDatabaseAway(error) || /** @type {{ statusCode?: number }} */ (error).statusCode === 503;
  if (away) {
    console.warn(`answered 503: ${/** @type {Error} */ (error).message}`);
    return new Refusal(503, 'the database or the queue is away, try again', { 'retry-after': '2' });
  }
  console.error(error);
  return new Refusal(500, 'that did not work');
}

/**
 * @param {Request} request
 * @param {Response} response
 * @param {Refusal} refusal
 */
function refuse(request, response, { status, message, headers }) {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (request.complete || isBodiless(request)) {
    json(response, status, { error: message }, headers);
    return;
  }
  // Closing a connection on which a client still sends destroys the answer before it is read: answer, read on a little, close.
  const body = Buffer.from(JSON.stringify({ error: message }));
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': body.length,
    connection: 'close',
  });
  response.write(body);
  const close = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(close, LINGER_MS);
  request.on('end', close).on('close', close).resume();
}

/** @param {Request} request */
function isBodiless(request) {
  return request.headers['transfer-encoding'] === undefined && Number(request.headers['content-length'] ?? 0) === 0;
}
