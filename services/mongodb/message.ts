import type { Wire } from '../../src/host/wire.js';
import { decode, encode, int32, type Document } from './bson.js';

const OP_REPLY = 1;
const OP_MSG = 2013;
const HEADER_BYTES = 16;
/** No answer to the few commands asked here comes near this. */
const MAX_ANSWER = 1024 * 1024;

/** The other side does not speak MongoDB's protocol. */
export class NotMongo extends Error {}

/** Sends one command to `database` and reads its answer. @throws NotMongo, WireError */
export async function ask(wire: Wire, requestId: number, command: Document, database = 'admin'): Promise<Document> {
  const body = encode({ ...command, $db: database });
  const length = HEADER_BYTES + 5 + body.length;
  wire.write(Buffer.concat([int32(length), int32(requestId), int32(0), int32(OP_MSG), int32(0), Buffer.of(0), body]));
  const header = await wire.read(HEADER_BYTES);
  const [size, responseTo, opcode] = [header.readInt32LE(0), header.readInt32LE(8), header.readInt32LE(12)];
  if (responseTo !== requestId || (opcode !== OP_MSG && opcode !== OP_REPLY)) throw new NotMongo();
  // Below: flags and section kind of OP_MSG, or the fixed part of OP_REPLY, by which servers of old times answer.
  const skip = opcode === OP_MSG ? 5 : 20;
  if (size < HEADER_BYTES + skip + 5 || size > MAX_ANSWER) throw new NotMongo();
  const payload = await wire.read(size - HEADER_BYTES);
  try {
    return decode(payload, skip);
  } catch (error) {
    if (error instanceof RangeError) throw new NotMongo();
    throw error;
  }
}
