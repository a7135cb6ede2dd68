import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LEVELS, type Level } from '../model/level.js';
import type { LogRecord } from '../model/record.js';
import { bisectRange } from './bisect.js';
import { emptyAnswer } from './empty-answer.js';
import { levelsFrom, NO_FILTER, type Filter } from './filter.js';
import { mergeByTime } from './merge.js';
import { openLog } from './open-file.js';
import { countRecords, readBackward, readForward } from './read.js';
import { lastRecords, recentErrors } from './recent.js';
import { findSources, unitOf } from './source.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'memt-read-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const START = Date.parse('2026-01-02T00:00:00.000Z');
const iso = (ms: number): string => new Date(START + ms).toISOString();

function line(ms: number, level: Level, text: string, more: object = {}): string {
  return JSON.stringify({ time: iso(ms), level, unit: 'web', instance: 'web.0', pid: 1, text, ...more });
}
function put(name: string, lines: readonly string[], modified = 0): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((one) => `${one}\n`).join(''));
  if (modified !== 0) utimesSync(path, new Date(START + modified), new Date(START + modified));
  return path;
}
const source = (name: string): ReturnType<typeof findSources>[number] => {
  const found = findSources(folder).find(({ path }) => path === join(folder, name));
  if (!found) throw new Error(`no source ${name}`);
  return found;
};
const texts = (records: Iterable<LogRecord>): string[] => Array.from(records, (record) => record.text);

/** A small deterministic generator: a failing case can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}

describe('the sources of a project', () => {
  it('are found with unit, instance and rotated files, oldest first', () => {
    for (const name of [
      'web.0.ndjson',
      'web.0.ndjson.1',
      'web.0.ndjson.10',
      'web.0.ndjson.2',
      'web.0.err',
      'mongodb.log',
      'rabbitmq.log.0',
      'worker.ndjson',
      'x.ndjson.tmp',
      'notes.txt',
    ])
      put(name, ['x']);
    put('mongodb.log.2026-01-02T03-04-05', ['x']);
    expect(
      findSources(folder).map(({ path, unit, instance, dialect, files }) =>
        [path, unit, instance, dialect, files.length].map((part) => String(part).replace(`${folder}/`, '')),
      ),
    ).toEqual([
      ['mongodb.log', 'mongodb', 'mongodb', 'mongod', '2'],
      ['rabbitmq.log', 'rabbitmq', 'rabbitmq', 'rabbitmq', '1'],
      ['web.0.err', 'web', 'web.0', 'stderr', '1'],
      ['web.0.ndjson', 'web', 'web.0', 'ndjson', '4'],
      ['worker.ndjson', 'worker', 'worker', 'ndjson', '1'],
    ]);
    expect(source('web.0.ndjson').files.map((file) => file.slice(folder.length + 1))).toEqual([
      'web.0.ndjson.10',
      'web.0.ndjson.2',
      'web.0.ndjson.1',
      'web.0.ndjson',
    ]);
  });
  it('are none in a folder that is not there', () => expect(findSources(join(folder, 'no'))).toEqual([]));
  it.each([
    ['web.0', 'web'],
    ['mongodb', 'mongodb'],
    ['mail-worker.12', 'mail-worker'],
    ['v1.2x', 'v1.2x'],
  ])('%s is of unit %s', (instance, unit) => expect(unitOf(instance)).toBe(unit));
});

describe('reading', () => {
  it('gives the same records forward and backward, whatever the sizes', () => {
    const next = random(7);
    const lines = Array.from({ length: 4000 }, (_, index) => {
      const level = LEVELS[Math.floor(next() * LEVELS.length)] ?? 'info';
      const text = `${index} ${'é'.repeat(Math.floor(next() ** 4 * 2500))}`;
      return line(
        index * 10,
        level,
        text,
        next() < 0.05 ? { fields: { level: 'error', unit: 'x' }, stack: 'a\nb' } : {},
      );
    });
    put('web.0.ndjson', lines);
    expect(statSync(join(folder, 'web.0.ndjson')).size).toBeGreaterThan(2_100_000);
    for (const levels of [
      new Set<Level>(),
      levelsFrom('error'),
      levelsFrom('warn'),
      levelsFrom('debug'),
      new Set<Level>(['trace']),
      new Set<Level>(['error', 'info']),
    ]) {
      const filter: Filter = { levels };
      const wanted = lines
        .map((one) => JSON.parse(one) as LogRecord)
        .filter((record) => levels.size === 0 || levels.has(record.level))
        .map((record) => record.text);
      expect(texts(readForward(source('web.0.ndjson'), filter)).join('|') === wanted.join('|')).toBe(true);
      expect(
        texts(readBackward(source('web.0.ndjson'), filter))
          .reverse()
          .join('|') === wanted.join('|'),
      ).toBe(true);
    }
    const { counts, oldest } = countRecords(source('web.0.ndjson'), NO_FILTER);
    expect(Object.values(counts).reduce((sum, count) => sum + count)).toBe(4000);
    expect(oldest).toBe(iso(0));
  });
  it('keeps multi-line records whole across the blocks of a backward read', () => {
    const lines: string[] = [];
    for (let index = 0; index < 3000; index += 1) {
      const prefix = `2026-01-02 00:${String(Math.floor(index / 60)).padStart(2, '0')}:${String(index % 60).padStart(2, '0')}.000000+00:00 [${index % 3 === 0 ? 'error' : 'info'}] <0.${index}.0>`;
      const count = 1 + (index % 7);
      for (let part = 0; part < count; part += 1)
        lines.push(index % 2 === 0 || part === 0 ? `${prefix} line ${index}.${part}` : `    line ${index}.${part}`);
    }
    put('rabbitmq.log', lines);
    const forward = Array.from(readForward(source('rabbitmq.log'), NO_FILTER));
    expect(forward.length).toBe(3000);
    expect(Array.from(readBackward(source('rabbitmq.log'), NO_FILTER)).reverse()).toEqual(forward);
    expect(forward[13]?.text.split('\n').length).toBe(7);
  });
  it('reads rotated files as one', () => {
    put('web.0.ndjson.2', [line(1, 'info', 'a')]);
    put('web.0.ndjson.1', [line(2, 'info', 'b'), line(3, 'error', 'c')]);
    put('web.0.ndjson', [line(4, 'info', 'd')]);
    expect(texts(readForward(source('web.0.ndjson'), NO_FILTER))).toEqual(['a', 'b', 'c', 'd']);
    expect(lastRecords(readBackward(source('web.0.ndjson'), NO_FILTER), 2).map((record) => record.text)).toEqual([
      'c',
      'd',
    ]);
  });
  it('shows a line that is not ours, marked, and drops a torn end', () => {
    writeFileSync(
      join(folder, 'web.0.ndjson'),
      `${line(1, 'info', 'a')}\ngarbage\n{"time":"2026-01-02T00\n${line(2, 'info', 'b')}\n{"time":"2026-01-02T00:00:00.003Z","lev`,
    );
    const records = Array.from(readForward(source('web.0.ndjson'), NO_FILTER));
    expect(records.map((record) => [record.text, record.fields?.['parsed']])).toEqual([
      ['a', undefined],
      ['garbage', false],
      ['b', undefined],
    ]);
  });
  it('gives lines without a time that of what follows them, else of the file', () => {
    const mark = line(5000, 'trace', 'mark', { fields: { mark: true } });
    put('web.0.err', ['first words', 'Error: died', '    at a (/x.js:1:2)', mark, 'last words'], 9000);
    const records = Array.from(readForward(source('web.0.err'), NO_FILTER));
    expect(records.map((record) => [record.time, record.text])).toEqual([
      [iso(5000), 'first words'],
      [iso(5000), 'Error: died'],
      [iso(9000), 'last words'],
    ]);
    expect(Array.from(readBackward(source('web.0.err'), NO_FILTER)).reverse()).toEqual(records);
  });
  it('survives a file of one endless line, a binary and an empty file', () => {
    writeFileSync(join(folder, 'web.0.out'), 'x'.repeat(9_000_000));
    writeFileSync(
      join(folder, 'web.1.ndjson'),
      Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 256)),
    );
    writeFileSync(join(folder, 'web.2.ndjson'), '');
    for (const one of findSources(folder)) {
      const forward = texts(readForward(one, NO_FILTER)).join('').length;
      expect(texts(readBackward(one, NO_FILTER)).join('').length).toBe(forward);
    }
  });
});

describe('a window of time', () => {
  it('is found without reading the file, and is exact', () => {
    const lines = Array.from({ length: 60_000 }, (_, index) =>
      line(index * 1000, index % 10 === 0 ? 'error' : 'info', `n${index}`),
    );
    const path = put('web.0.ndjson', lines);
    const file = openLog(path);
    if (!file) throw new Error('no file');
    const range = bisectRange(file, 'ndjson', START + 30_000_000, START + 30_060_000);
    file.close();
    expect(range.end - range.start).toBeLessThan(file.size / 10);
    const filter: Filter = { levels: new Set(), since: START + 30_000_000, until: START + 30_060_000 };
    const wanted = Array.from({ length: 61 }, (_, index) => `n${30_000 + index}`);
    expect(texts(readForward(source('web.0.ndjson'), filter))).toEqual(wanted);
    expect(texts(readBackward(source('web.0.ndjson'), filter)).reverse()).toEqual(wanted);
    expect(countRecords(source('web.0.ndjson'), filter).counts).toMatchObject({ error: 7, info: 54 });
  });
  it.each([
    [-1000, 5],
    [0, 5],
    [2500, 2],
    [4000, 1],
    [4001, 0],
  ])('since %d ms has %d of five', (since, count) => {
    put(
      'web.0.ndjson',
      [0, 1, 2, 3, 4].map((index) => line(index * 1000, 'info', 'x')),
    );
    expect(texts(readForward(source('web.0.ndjson'), { levels: new Set(), since: START + since })).length).toBe(count);
  });
  it('passes by a file that was last written before it', () => {
    put('web.0.ndjson.1', [line(0, 'info', 'old')], 1000);
    put('web.0.ndjson', [line(9000, 'info', 'new')]);
    expect(texts(readForward(source('web.0.ndjson'), { levels: new Set(), since: START + 5000 }))).toEqual(['new']);
  });
});

describe('merging', () => {
  const stream = (unit: string, times: readonly number[]): LogRecord[] =>
    times.map((ms) => ({ time: iso(ms), level: 'info', unit, instance: unit, pid: null, text: `${unit}${ms}` }));
  it('is by time, stable, and the same from both ends', () => {
    const next = random(3);
    const streams = ['a', 'b', 'c', 'd', 'e'].map((unit) =>
      stream(
        unit,
        Array.from({ length: 50 }, () => Math.floor(next() * 40)).sort((x, y) => x - y),
      ),
    );
    const forward = Array.from(mergeByTime(streams, 'oldest-first'));
    const wanted = streams.flat().sort((x, y) => (x.time < y.time ? -1 : x.time > y.time ? 1 : 0));
    expect(forward).toEqual(wanted);
    expect(
      Array.from(
        mergeByTime(
          streams.map((one) => one.toReversed()),
          'newest-first',
        ),
      ).reverse(),
    ).toEqual(forward);
  });
  it('of nothing is nothing', () => expect(Array.from(mergeByTime([[], []], 'oldest-first'))).toEqual([]));
  it('closes the streams that it leaves', () => {
    let closed = 0;
    function* endless(): Generator<LogRecord> {
      try {
        for (let ms = 0; ; ms += 1) yield* stream('a', [ms]);
      } finally {
        closed += 1;
      }
    }
    expect(lastRecords(mergeByTime([endless(), endless()], 'oldest-first'), 3).length).toBe(3);
    expect(closed).toBe(2);
  });
});

describe('the last errors of a unit', () => {
  it('come from all its instances and files, oldest first', () => {
    put('web.0.ndjson', [line(1, 'error', 'a'), line(2, 'info', 'no'), line(5, 'fatal', 'd')]);
    put('web.1.ndjson', [line(3, 'error', 'b'), line(4, 'warn', 'no')]);
    put('web.0.err', ['Error: c', '    at x (/y.js:1:2)'], 4);
    put('worker.0.ndjson', [line(9, 'error', 'other unit')]);
    expect(recentErrors(folder, 'web', { lines: 10 }).map((record) => record.text)).toEqual([
      'a',
      'b',
      'Error: c',
      'd',
    ]);
    expect(recentErrors(folder, 'web', { lines: 2 }).map((record) => record.text)).toEqual(['Error: c', 'd']);
    expect(recentErrors(folder, 'web.1', { lines: 10, sinceMs: START }).map((record) => record.text)).toEqual(['b']);
    expect(recentErrors(folder, 'web', { lines: 10, sinceMs: START + 5 }).map((record) => record.text)).toEqual(['d']);
    expect(recentErrors(join(folder, 'no'), 'web', { lines: 10 })).toEqual([]);
    expect(recentErrors(folder, 'web', { lines: 0 })).toEqual([]);
  });
});

describe('the empty answer', () => {
  const now = START + 3_600_000;
  const clock = (ms: number): string => {
    const at = new Date(START + ms);
    return `${String(at.getHours()).padStart(2, '0')}:${String(at.getMinutes()).padStart(2, '0')}`;
  };
  it('has the real counts and the level that would show something', () => {
    put('web.0.ndjson', [
      ...Array.from({ length: 1278 }, () => line(60_000, 'info', 'x')),
      ...Array.from({ length: 6 }, () => line(120_000, 'warn', 'x')),
    ]);
    put('mongodb.ndjson', [line(180_000, 'debug', 'x').replace(/web/g, 'mongodb')]);
    const answer = (filter: Filter, label: string): string => emptyAnswer(findSources(folder), filter, label, now);
    expect(answer({ levels: levelsFrom('error') }, 'error')).toBe(
      `no error lines from 2 units since ${clock(60_000)} (1,285 below error; --level warn shows 6)`,
    );
    expect(answer({ levels: new Set(['fatal', 'error']) }, 'error or fatal')).toContain(
      'no error or fatal lines from 2 units',
    );
    expect(answer({ levels: levelsFrom('error'), since: START + 100_000 }, 'error')).toBe(
      `no error lines from 2 units since ${clock(100_000)} (7 below error; --level warn shows 6)`,
    );
    expect(answer({ levels: levelsFrom('error'), since: START + 200_000 }, 'error')).toContain(
      '(nothing was logged then)',
    );
    expect(answer({ levels: new Set(), grep: /q/ }, '')).toContain('no lines that match /q/ from 2 units');
    expect(answer({ levels: new Set(['trace']) }, 'trace')).toContain('(1,285 at other levels; --level warn shows 6)');
  });
  it('names the day when it was another', () => {
    put('web.0.ndjson', [line(-86_400_000 * 3, 'info', 'x')]);
    expect(emptyAnswer(findSources(folder), { levels: levelsFrom('error') }, 'error', now)).toMatch(
      /^no error lines from 1 unit since 2025-12-\d\d \d\d:\d\d \(1 below error; --level info shows 1\)$/,
    );
  });
});
