import type { Writable } from 'node:stream';

const BATCH_CHARACTERS = 64 * 1024;

/** Lines to a stream, in batches, waiting while it is full, ending quietly when its reader goes away (`| head`). */
export interface LineOutput {
  /** Undefined while there is room; else a promise that is false when nobody reads any more. */
  line(text: string): Promise<boolean> | undefined;
  flush(): Promise<boolean>;
}

export function lineOutput(stream: Writable): LineOutput {
  let open = true;
  let batch = '';
  stream.on('error', () => (open = false));
  stream.on('close', () => (open = false));
  const flush = async (): Promise<boolean> => {
    const text = batch;
    batch = '';
    if (text === '' || !open) return open;
    await new Promise<void>((resolve) => {
      stream.write(text, (error) => {
        if (error) open = false;
        resolve();
      });
    });
    return open;
  };
  return {
    line(text) {
      batch += `${text}\n`;
      return batch.length >= BATCH_CHARACTERS || !open ? flush() : undefined;
    },
    flush,
  };
}
