import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rotateOpenFile } from './redirect.js';

it('rotates a file that stays open: copies, empties, and writing goes on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'memt-rotate-'));
  const file = join(folder, 'web.0.out');
  const fd = openSync(file, 'a', 0o600);
  try {
    for (const text of ['one', 'two', 'three']) {
      expect(rotateOpenFile(fd, file, 4, 2)).toBe(text !== 'one');
      writeSync(fd, `${text} ${'x'.repeat(10)}\n`);
    }
    const firstWords = [file, `${file}.1`, `${file}.2`].map((path) => readFileSync(path, 'utf8').split(' ')[0]);
    expect(firstWords).toEqual(['three', 'two', 'one']);
    expect(statSync(`${file}.1`).mode & 0o777).toBe(0o600);
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});
