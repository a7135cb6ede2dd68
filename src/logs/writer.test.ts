import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lineWriter, type LineWriter } from './writer.js';

let folder: string;
let writer: LineWriter | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'memt-writer-'));
});
afterEach(() => {
  writer?.close();
  rmSync(folder, { recursive: true });
});

describe('the writer', () => {
  it('makes folder and file for the user alone', () => {
    const file = join(folder, 'a/b/web.0.ndjson');
    writer = lineWriter({ file });
    expect(writer.write('x')).toBe(true);
    expect(readFileSync(file, 'utf8')).toBe('x\n');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'a/b')).mode & 0o777).toBe(0o700);
  });
  it('rotates by size, keeps as many as asked, loses no line but the oldest', () => {
    const file = join(folder, 'w.ndjson');
    writer = lineWriter({ file, maxBytes: 100, keep: 3 });
    for (let index = 0; index < 60; index += 1) writer.write(`line ${index}`.padEnd(9));
    expect(readdirSync(folder).sort()).toEqual(['w.ndjson', 'w.ndjson.1', 'w.ndjson.2', 'w.ndjson.3']);
    const all =
      [3, 2, 1].map((index) => readFileSync(`${file}.${index}`, 'utf8')).join('') + readFileSync(file, 'utf8');
    const numbers = all
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.slice(5)));
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => 60 - numbers.length + index));
    expect(numbers.length).toBeGreaterThanOrEqual(31);
  });
  it('goes on in a file that exists', () => {
    const file = join(folder, 'w.ndjson');
    writeFileSync(file, 'old\n');
    writer = lineWriter({ file });
    writer.write('new');
    expect(readFileSync(file, 'utf8')).toBe('old\nnew\n');
  });
  it('leaves the rotation to whoever was first when two processes write', () => {
    const file = join(folder, 'w.ndjson');
    writer = lineWriter({ file, maxBytes: 20 });
    writer.write('x'.repeat(30));
    renameSync(file, `${file}.1`);
    writer.write('after');
    expect(readFileSync(file, 'utf8')).toBe('after\n');
    expect(existsSync(`${file}.2`)).toBe(false);
  });
  it('drops and counts when the disk is full, and complains once', () => {
    const troubles: string[] = [];
    writer = lineWriter({ file: '/dev/full', onTrouble: (code) => troubles.push(code) });
    for (let index = 0; index < 5; index += 1) expect(writer.write('x')).toBe(false);
    expect(writer.dropped).toBe(5);
    expect(troubles).toEqual(['ENOSPC']);
  });
  it('never throws when the folder cannot be made', () => {
    writeFileSync(join(folder, 'file'), '');
    const troubles: string[] = [];
    writer = lineWriter({ file: join(folder, 'file/w.ndjson'), onTrouble: (code) => troubles.push(code) });
    expect(writer.write('x')).toBe(false);
    expect(troubles.every((code) => code === 'ENOTDIR' || code === 'EBADF')).toBe(true);
  });
});
