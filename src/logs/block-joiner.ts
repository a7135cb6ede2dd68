import { StringDecoder } from 'node:string_decoder';
import { isContinuation, isHead, opensTrace } from './parse/text-block.js';

/** Longest partial line that is waited for, and largest group of lines, in characters. */
const MAX_CARRY = 64 * 1024;
const MAX_BLOCK_LINES = 500;
/** How long a partial line waits for its end, ms. */
const CARRY_MS = 250;

/** Makes records' texts of raw writes to a stream. */
export interface BlockJoiner {
  write(chunk: string | Uint8Array, encoding?: BufferEncoding): void;
  /** Emits what is held back. */
  flush(): void;
  /** After this nothing is held back any more: the process ends. */
  finish(): void;
}

/**
 * One write is one block, unless lines in it begin records of their own; a trace written line by line is one block; a line
 * written in pieces is one line.
 */
export function blockJoiner(emit: (block: string) => void): BlockJoiner {
  const decoder = new StringDecoder('utf8');
  let carry = '';
  let held: string | undefined;
  let finishing = false;
  let immediate: NodeJS.Immediate | undefined;
  let timer: NodeJS.Timeout | undefined;

  const release = (): void => {
    if (immediate) clearImmediate(immediate);
    immediate = undefined;
    const block = held;
    held = undefined;
    if (block !== undefined) emit(block);
  };
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const rest = carry;
    carry = '';
    if (rest.trim() !== '') take([rest]);
    release();
  };
  const take = (lines: readonly string[]): void => {
    let block: string[] = [];
    const end = (): void => {
      if (block.some((line) => line.trim() !== '')) {
        release();
        held = block.join('\n');
      }
      block = [];
    };
    for (const [index, line] of lines.entries()) {
      if (index === 0 && held !== undefined && isContinuation(line) && opensTrace(held.split('\n', 1)[0] ?? '')) {
        block = held.split('\n');
        held = undefined;
      } else if (block.length >= MAX_BLOCK_LINES || (block.length > 0 && isHead(line))) {
        end();
      }
      block.push(line);
    }
    end();
    // Only what can still grow waits, and only until this turn of the event loop is over.
    if (held === undefined) return;
    if (finishing || !opensTrace(held.split('\n', 1)[0] ?? '')) release();
    else immediate ??= setImmediate(release);
  };

  return {
    write(chunk, encoding) {
      const text =
        typeof chunk === 'string'
          ? encoding === undefined || encoding === 'utf8' || encoding === 'utf-8'
            ? chunk
            : Buffer.from(chunk, encoding).toString('utf8')
          : decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      const whole = carry + text;
      const cut = whole.lastIndexOf('\n');
      carry = whole.slice(cut + 1);
      if (cut !== -1) take(whole.slice(0, cut).split('\n'));
      if (finishing || carry.length > MAX_CARRY) flush();
      else if (carry !== '') timer ??= setTimeout(flush, CARRY_MS).unref();
    },
    flush,
    finish() {
      finishing = true;
      flush();
    },
  };
}
