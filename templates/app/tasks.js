// @ts-check
import { createApp } from 'memt';
import { readText, storeResult } from './documents.js';
import { countWords } from './words.js';

// memt's workers find the application in this export.
export const tasks = createApp();

export const count = tasks.task(
  'documents.count',
  { retry: { maxAttempts: 5, min: '1s', max: '1m' }, timeLimit: '2m' },
  async (/** @type {string} */ id, { log, signal }) => {
    const bytes = await readText(id);
    if (bytes === null) {
      log.warn(`document ${id} is gone, nothing to count`);
      return { words: 0, top: [] };
    }
    const result = await countWords(bytes, signal);
    await storeResult(id, result);
    log.info(`document ${id}: ${result.words} words in ${bytes.length} bytes`);
    return result;
  },
);

/** What a bug looks like: try the button on the page, then `memt logs --level error`. */
export const fail = tasks.task('documents.fail', { retry: false }, (/** @type {string} */ id) => {
  throw new Error(`document ${id} failed because somebody pressed the button`);
});
