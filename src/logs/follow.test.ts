import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { levelsFrom, NO_FILTER } from './filter.js';
import { followFile, type FileFollower } from './follow-file.js';
import { follow, snapshotOf } from './follow.js';
import { findSources, type LogSource } from './source.js';
import { streamLogs } from './stream.js';

let folder: string;
let follower: FileFollower | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'memt-follow-'));
});
afterEach(() => {
  follower?.close();
  follower = undefined;
  rmSync(folder, { recursive: true });
});

const line = (text: string, level = 'info'): string =>
  `${JSON.stringify({ time: new Date().toISOString(), level, unit: 'web', instance: 'web.0', pid: 1, text })}\n`;
const path = (name: string): string => join(folder, name);

function source(name: string): LogSource {
  const found = findSources(folder).find((one) => one.path === path(name));
  return (
    found ?? {
      path: path(name),
      unit: 'web',
      instance: 'web.0',
      dialect: name.endsWith('err') ? 'stderr' : 'ndjson',
      files: [path(name)],
    }
  );
}
function start(name: string, offset = 0): () => string[] {
  const made = (follower = followFile(source(name), offset));
  return () => made.look(source(name)).map((record) => record.text);
}

describe('following a file', () => {
  it('gives what is appended, lines in pieces included', () => {
    writeFileSync(path('w.ndjson'), line('old'));
    const look = start('w.ndjson', snapshotOf(findSources(folder)).get(path('w.ndjson')));
    expect(look()).toEqual([]);
    appendFileSync(path('w.ndjson'), line('a') + line('b').slice(0, 30));
    expect(look()).toEqual(['a']);
    const rest = line('b').slice(30);
    appendFileSync(path('w.ndjson'), rest);
    expect(look()).toEqual(['b']);
  });
  it('survives a rotation, and finishes the old file first', () => {
    writeFileSync(path('w.ndjson'), line('a'));
    const look = start('w.ndjson');
    expect(look()).toEqual(['a']);
    appendFileSync(path('w.ndjson'), line('b'));
    renameSync(path('w.ndjson'), path('w.ndjson.1'));
    writeFileSync(path('w.ndjson'), line('c'));
    expect([...look(), ...look()]).toEqual(['b', 'c']);
    appendFileSync(path('w.ndjson'), line('d'));
    expect(look()).toEqual(['d']);
  });
  it('survives three rotations between two looks', () => {
    writeFileSync(path('w.ndjson'), line('a'));
    const look = start('w.ndjson');
    expect(look()).toEqual(['a']);
    for (const text of ['b', 'c', 'd']) {
      for (const index of [2, 1]) {
        try {
          renameSync(path(`w.ndjson.${index}`), path(`w.ndjson.${index + 1}`));
        } catch {
          // not there yet
        }
      }
      renameSync(path('w.ndjson'), path('w.ndjson.1'));
      writeFileSync(path('w.ndjson'), line(text));
    }
    expect([...look(), ...look()]).toEqual(['b', 'c', 'd']);
  });
  it('survives truncation and copy-and-truncate', () => {
    writeFileSync(path('w.ndjson'), line('a') + line('a2'));
    const look = start('w.ndjson');
    expect(look()).toEqual(['a', 'a2']);
    copyFileSync(path('w.ndjson'), path('w.ndjson.1'));
    truncateSync(path('w.ndjson'), 0);
    appendFileSync(path('w.ndjson'), line('b'));
    expect(look()).toEqual(['b']);
  });
  it('waits for a file that does not exist, and survives its deletion', () => {
    const look = start('w.ndjson');
    expect(look()).toEqual([]);
    writeFileSync(path('w.ndjson'), line('a'));
    expect(look()).toEqual(['a']);
    unlinkSync(path('w.ndjson'));
    expect(look()).toEqual([]);
    writeFileSync(path('w.ndjson'), line('b'));
    expect([...look(), ...look()]).toEqual(['b']);
  });
  it('holds a trace until it is whole', () => {
    writeFileSync(path('w.err'), 'Error: no\n    at a (/x.js:1:2)\n');
    const look = start('w.err');
    expect(look()).toEqual([]);
    appendFileSync(path('w.err'), '    at b (/x.js:1:2)\n');
    expect(look()).toEqual([]);
    const records = follower?.look(source('w.err'));
    expect(records).toMatchObject([
      { level: 'error', text: 'Error: no', stack: 'Error: no\n    at a (/x.js:1:2)\n    at b (/x.js:1:2)' },
    ]);
  });
  it('puts characters together that are cut between two looks', () => {
    const bytes = Buffer.from(line('é€'));
    const cut = bytes.indexOf(0xa9);
    writeFileSync(path('w.ndjson'), bytes.subarray(0, cut));
    const look = start('w.ndjson');
    expect(look()).toEqual([]);
    appendFileSync(path('w.ndjson'), bytes.subarray(cut));
    expect(look()).toEqual(['é€']);
  });
});

describe('following a project', () => {
  it('shows new units, filters, and ends when it is told', async () => {
    writeFileSync(path('web.0.ndjson'), line('old', 'error'));
    const stop = new AbortController();
    const seen: string[] = [];
    const stream = follow({
      logDir: folder,
      names: [],
      filter: { levels: levelsFrom('error') },
      signal: stop.signal,
      from: snapshotOf(findSources(folder)),
      everyMs: 5,
    });
    appendFileSync(path('web.0.ndjson'), line('a', 'error') + line('b'));
    for await (const batch of stream) {
      seen.push(...batch.map((record) => record.text));
      if (seen.length === 1) writeFileSync(path('worker.0.ndjson'), line('c', 'fatal'));
      if (seen.length === 2) stop.abort();
    }
    expect(seen).toEqual(['a', 'c']);
  });
  it('takes only the units that were asked for', async () => {
    const stop = new AbortController();
    const stream = follow({
      logDir: folder,
      names: ['web'],
      filter: NO_FILTER,
      signal: stop.signal,
      from: new Map(),
      everyMs: 5,
    });
    writeFileSync(path('worker.0.ndjson'), line('no'));
    writeFileSync(path('web.1.ndjson'), line('yes'));
    const value: unknown = (await stream.next()).value;
    expect((value as { text: string }[]).map((record) => record.text)).toEqual(['yes']);
    await stream.return(undefined);
  });
  it('streams formatted lines from now on', async () => {
    writeFileSync(path('web.0.ndjson'), line('old'));
    const stop = new AbortController();
    let text = '';
    const done = streamLogs({
      logDir: folder,
      units: [],
      level: 'info',
      signal: stop.signal,
      write: (part) => (text += part),
    });
    appendFileSync(path('web.0.ndjson'), line('new') + line('quiet', 'debug'));
    await expect
      .poll(() => text, { timeout: 5000, interval: 10 })
      .toMatch(/^\d\d:\d\d:\d\d\.\d{3} info {3}web\.0 {4}new\n$/);
    stop.abort();
    await done;
  });
});
