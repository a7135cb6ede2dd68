import { connect } from 'node:net';
import type { Json } from '../model/record.js';

/** What came of a question to a control socket. */
export type ControlAnswer =
  | { readonly kind: 'answer'; readonly value: Json }
  /** The process refused or failed the operation. */
  | { readonly kind: 'error'; readonly message: string }
  /** Nobody listens there: the process is dead or not that far yet. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'timeout' };

/**
 * Asks the process behind a control socket one question: one JSON line out, one JSON line back. Never throws.
 * @param timeoutMs default 1000
 */
export function ask(
  socketPath: string,
  op: string,
  args: { readonly [key: string]: Json } = {},
  timeoutMs = 1000,
): Promise<ControlAnswer> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    let received = '';
    const finish = (answer: ControlAnswer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish({ kind: 'timeout' }), timeoutMs);
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(JSON.stringify({ op, args }) + '\n'));
    socket.on('data', (chunk: string) => {
      received += chunk;
      const end = received.indexOf('\n');
      if (end >= 0) finish(parseAnswer(received.slice(0, end)));
    });
    socket.on('error', () => finish({ kind: 'absent' }));
    socket.on('close', () => finish({ kind: 'absent' }));
  });
}

function parseAnswer(line: string): ControlAnswer {
  try {
    const message = JSON.parse(line) as { ok: boolean; value?: Json; error?: string };
    return message.ok
      ? { kind: 'answer', value: message.value ?? null }
      : { kind: 'error', message: message.error ?? 'unknown error' };
  } catch {
    return { kind: 'error', message: 'unreadable answer' };
  }
}
