import { decode, sizeAt } from '../bson/decode.js';
import { encode, type OutDoc } from '../bson/encode.js';
import { ServerError } from '../bson/server-error.js';
import type { Doc } from '../bson/value.js';

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const HEADER = 16;
export const MAX_MESSAGE_BYTES = 48_000_000;

const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;
const EXHAUST_ALLOWED = 1 << 16;

export interface Message {
  readonly requestId: number;
  readonly body: Doc;
  readonly database: string;
  readonly sequences: ReadonlyMap<string, readonly Buffer[]>;
  /** Old form, used only for the first hello. */
  readonly legacy: boolean;
  /** False: the client waits for no answer (w: 0). */
  readonly wantsReply: boolean;
}

/** Length of the message at the start of `bytes`, or 0 when not yet known. @throws ServerError when it can be none of ours */
export function messageLength(bytes: Buffer): number {
  if (bytes.length < 4) return 0;
  const length = bytes.readInt32LE(0);
  if (length < HEADER || length > MAX_MESSAGE_BYTES)
    throw new ServerError(17, `a message of ${length} bytes is not MongoDB's wire protocol`);
  return length;
}

/** @throws ServerError: after it the connection cannot go on */
export function parseMessage(bytes: Buffer): Message {
  const requestId = bytes.readInt32LE(4);
  const opcode = bytes.readInt32LE(12);
  if (opcode === OP_MSG) return parseMsg(bytes, requestId);
  if (opcode === OP_QUERY) return parseQuery(bytes, requestId);
  throw new ServerError(238, `wire protocol operation ${opcode} is not implemented by memt's embedded document server`);
}

function parseMsg(bytes: Buffer, requestId: number): Message {
  if (bytes.length < HEADER + 5) throw new ServerError(9, 'a message is too short');
  const flags = bytes.readUInt32LE(HEADER);
  const unknown = flags & 0xffff & ~(CHECKSUM_PRESENT | MORE_TO_COME);
  if (unknown !== 0) throw new ServerError(9, `unknown flags ${unknown} of a message`);
  const end = bytes.length - (flags & CHECKSUM_PRESENT ? 4 : 0);
  const sequences = new Map<string, Buffer[]>();
  let body: Doc | null = null;
  let at = HEADER + 4;
  while (at < end) {
    const kind = bytes[at];
    at += 1;
    if (kind === 0) {
      const stop = sizeAt(bytes, at, end);
      body = decode(bytes, at);
      at = stop;
    } else if (kind === 1) at = parseSequence(bytes, at, end, sequences);
    else throw new ServerError(9, `unknown section kind ${String(kind)} of a message`);
  }
  if (!body) throw new ServerError(9, 'a message has no body');
  const database = body.get('$db');
  if (typeof database !== 'string') throw new ServerError(40414, "BSON field '$db' is missing but a required field");
  // Exhaust is only allowed, never demanded: one answer at a time is right.
  return {
    requestId,
    body,
    database,
    sequences,
    legacy: false,
    wantsReply: (flags & MORE_TO_COME) === 0 || (flags & EXHAUST_ALLOWED) !== 0,
  };
}

function parseSequence(bytes: Buffer, start: number, limit: number, sequences: Map<string, Buffer[]>): number {
  if (start + 4 > limit) throw new ServerError(9, 'a document sequence is cut short');
  const end = start + bytes.readInt32LE(start);
  const nameEnd = bytes.indexOf(0, start + 4);
  if (end > limit || nameEnd < 0 || nameEnd >= end) throw new ServerError(9, 'a document sequence has a wrong length');
  const documents: Buffer[] = [];
  for (let at = nameEnd + 1; at < end;) {
    const stop = sizeAt(bytes, at, end);
    documents.push(bytes.subarray(at, stop));
    at = stop;
  }
  sequences.set(bytes.toString('utf8', start + 4, nameEnd), documents);
  return end;
}

function parseQuery(bytes: Buffer, requestId: number): Message {
  const nameEnd = bytes.indexOf(0, HEADER + 4);
  if (nameEnd < 0) throw new ServerError(9, 'a query is cut short');
  const namespace = bytes.toString('utf8', HEADER + 4, nameEnd);
  if (!namespace.endsWith('.$cmd'))
    throw new ServerError(352, 'Unsupported OP_QUERY command: the client driver is too old');
  const at = nameEnd + 9;
  sizeAt(bytes, at, bytes.length);
  return {
    requestId,
    body: decode(bytes, at),
    database: namespace.slice(0, -5),
    sequences: new Map(),
    legacy: true,
    wantsReply: true,
  };
}

let lastId = 0;

/** The bytes of an answer. */
export function encodeReply(message: { readonly requestId: number; readonly legacy: boolean }, answer: OutDoc): Buffer {
  const prefix = message.legacy ? HEADER + 20 : HEADER + 5;
  const bytes = encode(answer, prefix);
  lastId = (lastId + 1) & 0x7fffffff;
  bytes.writeInt32LE(bytes.length, 0);
  bytes.writeInt32LE(lastId, 4);
  bytes.writeInt32LE(message.requestId, 8);
  bytes.writeInt32LE(message.legacy ? OP_REPLY : OP_MSG, 12);
  bytes.fill(0, HEADER, prefix);
  if (message.legacy) {
    // AwaitCapable, and one document.
    bytes.writeInt32LE(8, HEADER);
    bytes.writeInt32LE(1, HEADER + 16);
  }
  return bytes;
}
