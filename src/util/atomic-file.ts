import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

let counter = 0;

/** Replaces `file` in one step, mode 0600, making its folder (0700) when it is missing. */
export function writeFileAtomic(file: string, content: string): void {
  const temporary = `${file}.${process.pid}.${(counter += 1)}.tmp`;
  const write = (): void => writeFileSync(temporary, content, { mode: 0o600 });
  try {
    try {
      write();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      write();
    }
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
