// @ts-check
import { setImmediate as breathe } from 'node:timers/promises';

/** @typedef {{ word: string, count: number }} WordCount */

/** Bytes counted in one go: a few milliseconds, so that the worker's other tasks and its heartbeats go on in between. */
const SLICE = 128 * 1024;
/** Longer runs of letters are no words, in characters: they are cut wherever a slice ends. */
const MAX_CARRY = 100_000;
/** Shown of a long word, in characters. */
const MAX_WORD = 80;
const TOP = 10;

/** Letters and digits with their accents; apostrophes inside a word and points inside a number belong to it. */
const WORD = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:'(?=\p{L})[\p{L}\p{M}\p{N}]+|[.,](?=\p{N})[\p{N}]+)*/gu;
/** Scripts that write words without spaces between them: only a dictionary finds those. */
const UNSPACED = /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]/u;
/** What a slice must not end with: half a word. Surrogates are halves of letters. */
const INSIDE = /[\p{L}\p{M}\p{N}\p{Cs}'’.,]/u;
const dictionary = new Intl.Segmenter(undefined, { granularity: 'word' });

/**
 * Counts the words of a UTF-8 text and finds the most frequent ones, upper and lower case taken together.
 *
 * @param {Uint8Array} bytes
 * @param {AbortSignal} [signal]
 * @returns {Promise<{ words: number, top: WordCount[] }>}
 */
export async function countWords(bytes, signal) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  const decoder = new TextDecoder();
  let words = 0;
  let carry = '';

  /** @param {string} word */
  const count = (word) => {
    words += 1;
    const key = word.length > MAX_WORD ? `${word.slice(0, MAX_WORD)}…` : word;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };

  for (let at = 0; at < bytes.length; at += SLICE) {
    signal?.throwIfAborted();
    const last = at + SLICE >= bytes.length;
    const fresh = decoder.decode(bytes.subarray(at, at + SLICE), { stream: !last });
    const end = last || carry.length > MAX_CARRY ? fresh.length : endOfLastWord(fresh);
    if (end > 0) {
      for (const word of wordsOf(carry + fresh.slice(0, end))) count(word);
      carry = fresh.slice(end);
    } else {
      carry += fresh;
    }
    await breathe();
  }
  return { words, top: mostFrequent(counts) };
}

/**
 * @param {string} text
 * @returns {Iterable<string>}
 */
function* wordsOf(text) {
  for (const [token] of text.normalize('NFC').replaceAll('’', "'").toLowerCase().matchAll(WORD)) {
    if (!UNSPACED.test(token)) yield token;
    else for (const part of dictionary.segment(token)) if (part.isWordLike) yield part.segment;
  }
}

/**
 * Where the text can be cut without cutting a word; 0 when it is all one word.
 *
 * @param {string} text
 */
function endOfLastWord(text) {
  let end = text.length;
  while (end > 0 && INSIDE.test(text.charAt(end - 1))) end -= 1;
  // Without spaces there is no better place than here: at worst one word is counted as two.
  return end === 0 && UNSPACED.test(text) ? text.length : end;
}

/**
 * @param {Map<string, number>} counts
 * @returns {WordCount[]}
 */
function mostFrequent(counts) {
  return [...counts]
    .map(([word, count]) => ({ word, count }))
    .sort((a, b) => b.count - a.count || (a.word < b.word ? -1 : 1))
    .slice(0, TOP);
}
