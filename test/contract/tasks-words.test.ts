import { describe, expect, it } from 'vitest';

interface Words {
  readonly countWords: (
    bytes: Uint8Array,
    signal?: AbortSignal,
  ) => Promise<{ words: number; top: { word: string; count: number }[] }>;
}
const { countWords } = (await import(new URL('../../templates/app/words.js', import.meta.url).href)) as Words;

const count = (text: string) => countWords(Buffer.from(text));

describe('the sample application counts words', () => {
  it.each([
    ['', 0],
    [' \n\t… — !?', 0],
    ['one two  three', 3],
    ["Don't stop: it’s the cat's.", 5],
    ['3.14 and 1,000,000', 3],
    ['Привет, мир', 2],
    ['नमस्ते दुनिया', 2],
    ['我喜欢喝咖啡。', 4],
    ['สวัสดีชาวโลก', 3],
    ['cafe\u0301 café', 2],
    ['👍 fine 👍', 1],
  ])('%j: %d', async (text, words) => {
    expect((await count(text)).words).toBe(words);
  });

  it('finds the most frequent ones, upper and lower case and both forms of an accent together', async () => {
    const { top } = await count("b a B c a b É e\u0301 it’s it's " + 'x y z u v w'.repeat(1));
    expect(top.slice(0, 4)).toEqual([
      { word: 'b', count: 3 },
      { word: 'a', count: 2 },
      { word: "it's", count: 2 },
      { word: 'é', count: 2 },
    ]);
    expect(top).toHaveLength(10);
  });

  it('cuts no word and no letter, wherever its slices end', async () => {
    const words = ['straße', 'Ærøskøbing', '𝒜lpha', 'e\u0301te\u0301', 'x'];
    for (let shift = 0; shift < 7; shift += 1) {
      const text = 'y'.repeat(shift) + ' ' + `${words.join(' ')} `.repeat(20_000);
      const { words: total, top } = await count(text);
      expect(total).toBe(100_000 + Math.min(shift, 1));
      expect(top.slice(0, 5).map((one) => one.count)).toEqual([20_000, 20_000, 20_000, 20_000, 20_000]);
    }
  });

  it('survives what is no text, and never holds the process for long', async () => {
    let longest = 0;
    let last = performance.now();
    const ticks = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    for (const text of [
      'a'.repeat(4e6),
      '1.'.repeat(2e6),
      "a'".repeat(2e6),
      '\u0301'.repeat(2e6),
      'the end. '.repeat(4e5),
    ]) {
      await count(text);
    }
    clearInterval(ticks);
    expect(longest).toBeLessThan(1000);
  });

  it('stops when it is told to', async () => {
    await expect(countWords(Buffer.from('a b'), AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
  });
});
