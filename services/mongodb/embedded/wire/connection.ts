import type { Socket } from 'node:net';
import { ServerError } from '../bson/server-error.js';
import { docOf, int } from '../bson/value.js';
import type { Engine } from '../engine.js';
import { encodeReply, messageLength, parseMessage, type Message } from './message.js';

/** Bytes of unsent answers at which a client that does not read is no longer served. */
const WRITE_LIMIT = 64 * 1024 * 1024;

/** Serves one client: messages in, answers out, in order. */
export function serveConnection(socket: Socket, engine: Engine, onIdle: () => void): { readonly busy: () => boolean } {
  engine.connectionsMade += 1;
  const id = engine.connectionsMade;
  const connection = { id, peer: `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}` };
  engine.connections.add(id);
  let chunks: Buffer[] = [];
  let buffered = 0;
  let wanted = 0;
  let queue: Message[] = [];
  let running = false;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => engine.connections.delete(id));
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    buffered += chunk.length;
    // Joining only when a message is whole keeps a message of many chunks linear.
    if (buffered < wanted) return;
    try {
      takeMessages();
    } catch (error) {
      refuse(error);
      return;
    }
    if (!running) void run();
  });

  function takeMessages(): void {
    let bytes = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, buffered);
    for (;;) {
      wanted = messageLength(bytes);
      if (wanted === 0 || bytes.length < wanted) break;
      const message = bytes.subarray(0, wanted);
      bytes = bytes.subarray(wanted);
      wanted = 0;
      queue.push(parseMessage(message));
    }
    chunks = bytes.length > 0 ? [bytes] : [];
    buffered = bytes.length;
  }

  function refuse(error: unknown): void {
    if (error instanceof ServerError) {
      const answer = docOf({ ok: 0, errmsg: error.message, code: int(error.code), codeName: error.codeName });
      socket.end(encodeReply({ requestId: 0, legacy: false }, answer));
    } else socket.destroy();
  }

  async function run(): Promise<void> {
    running = true;
    while (queue.length > 0 && !socket.destroyed) {
      const batch = queue;
      queue = [];
      for (const message of batch) {
        const [name = ''] = message.body.keys();
        const answer = await engine.execute({
          name,
          body: message.body,
          database: message.database,
          sequences: message.sequences,
          connection,
        });
        if (message.wantsReply) send(replyBytes(message, answer));
      }
    }
    running = false;
    onIdle();
  }

  function send(bytes: Buffer): void {
    if (!socket.writable) return;
    socket.write(bytes);
    if (socket.writableLength > WRITE_LIMIT) socket.destroy();
  }

  function replyBytes(message: Message, answer: Parameters<typeof encodeReply>[1]): Buffer {
    try {
      return encodeReply(message, answer);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return encodeReply(
        message,
        docOf({ ok: 0, errmsg: `the answer could not be encoded: ${text}`, code: int(1), codeName: 'InternalError' }),
      );
    }
  }

  return { busy: () => running };
}
