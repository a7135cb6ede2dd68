import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FailureError } from '../model/failure.js';
import { identityOf } from '../host/proc.js';
import { compileSources } from '../../test/rig/compile.js';
import { nodeDisk } from './disk.js';
import { compactionDue, openWal, RECORD_OVERHEAD, type Disk, type Wal, type WalOptions } from './wal.js';

let base: string;
let dir: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'memt-wal-'));
  dir = join(base, 'log');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function open(
  options: Partial<WalOptions> = {},
  where = dir,
): Promise<{ wal: Wal; seen: string[]; repairs: string[] }> {
  const seen: string[] = [];
  const repairs: string[] = [];
  const wal = await openWal(where, {
    onRecord: (payload) => seen.push(payload.toString()),
    onRepair: (text) => repairs.push(text),
    ...options,
  });
  return { wal, seen, repairs };
}

async function contents(where = dir): Promise<string[]> {
  const { wal, seen } = await open({}, where);
  await wal.close();
  return seen;
}

async function failureOf(work: Promise<unknown>): Promise<FailureError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(FailureError);
  return error as FailureError;
}

const names = (where = dir): string[] => readdirSync(where).sort();

describe('a log', () => {
  it('gives back what was appended, in order, across segments and restarts', async () => {
    const expected: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { wal, seen } = await open({ segmentBytes: 2000 });
      expect(seen).toEqual(expected);
      for (let index = 0; index < 100; index += 1) {
        const text = `${round}-${index}-${'x'.repeat((index * 7) % 90)}`;
        expected.push(text);
        wal.append(Buffer.from(text));
        if (index % 10 === 0) await wal.synced();
      }
      await wal.close();
    }
    expect(await contents()).toEqual(expected);
    expect(names().length).toBeGreaterThan(3);
  });

  it('holds records far larger than its read buffer, given in parts', async () => {
    const { wal } = await open();
    const big = Buffer.alloc(3 * 1024 * 1024, 'ab');
    wal.append([Buffer.from('head:'), big]);
    wal.append(Buffer.from('tail'));
    await wal.written();
    await wal.close();
    const seen = await contents();
    expect(seen).toHaveLength(2);
    expect(seen[0]).toBe(`head:${big.toString()}`);
    expect(seen[1]).toBe('tail');
  });

  it('counts its bytes', async () => {
    const { wal } = await open();
    const before = wal.totalBytes;
    wal.append(Buffer.from('12345'));
    expect(wal.totalBytes).toBe(before + RECORD_OVERHEAD + 5);
    await wal.synced();
    expect(wal.totalBytes).toBe(before + RECORD_OVERHEAD + 5);
    expect(statSync(join(dir, '00000001.wal')).size).toBe(wal.totalBytes);
    await wal.close();
    const again = await open();
    expect(again.wal.totalBytes).toBe(before + RECORD_OVERHEAD + 5);
    await again.wal.close();
  });

  it('refuses empty records and appends after close as bugs', async () => {
    const { wal } = await open();
    expect(() => wal.append(Buffer.alloc(0))).toThrow(RangeError);
    await wal.close();
    await wal.close();
    expect(() => wal.append(Buffer.from('x'))).toThrow('closed');
  });

  it('is private: 0700 and 0600', async () => {
    await (await open()).wal.close();
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, '00000001.wal')).mode & 0o777).toBe(0o600);
  });

  it('shares one sync among all who wait and syncs nothing when idle', async () => {
    let syncs = 0;
    const disk: Disk = { ...nodeDisk, fdatasync: (fd) => ((syncs += 1), nodeDisk.fdatasync(fd)) };
    const { wal } = await open({ disk, syncIntervalMs: 0 });
    syncs = 0;
    const waits = Array.from({ length: 500 }, (_, index) => {
      wal.append(Buffer.from(String(index)));
      return wal.synced();
    });
    await Promise.all(waits);
    expect(syncs).toBeGreaterThan(0);
    expect(syncs).toBeLessThan(10);
    const before = syncs;
    await wal.synced();
    expect(syncs).toBe(before);
    await wal.close();
  });

  it('syncs by itself when nobody asks', async () => {
    let synced!: () => void;
    const done = new Promise<void>((resolve) => (synced = resolve));
    let opened = false;
    const disk: Disk = {
      ...nodeDisk,
      fdatasync: async (fd) => {
        await nodeDisk.fdatasync(fd);
        if (opened) synced();
      },
    };
    const { wal } = await open({ disk, syncIntervalMs: 5 });
    opened = true;
    wal.append(Buffer.from('x'));
    await wal.written();
    const keepAlive = setInterval(() => undefined, 1000);
    await done;
    clearInterval(keepAlive);
    await wal.close();
  });

  it('never reports synced before the sync has ended', async () => {
    const order: string[] = [];
    const disk: Disk = {
      ...nodeDisk,
      fdatasync: async (fd) => {
        await new Promise((resolve) => setImmediate(resolve));
        await nodeDisk.fdatasync(fd);
        order.push('disk');
      },
    };
    const { wal } = await open({ disk, syncIntervalMs: 0 });
    order.length = 0;
    wal.append(Buffer.from('a'));
    const first = wal.synced().then(() => order.push('a'));
    await wal.written();
    wal.append(Buffer.from('b'));
    const second = wal.synced().then(() => order.push('b'));
    await Promise.all([first, second]);
    expect(order).toEqual(['disk', 'a', 'disk', 'b']);
    await wal.close();
  });
});

describe('a damaged log', () => {
  const texts = ['one', 'two-two', 'three-three-three', 'four'];

  async function small(): Promise<{ file: string; ends: number[] }> {
    const { wal } = await open();
    const ends = [16];
    for (const text of texts) {
      wal.append(Buffer.from(text));
      ends.push((ends.at(-1) ?? 0) + RECORD_OVERHEAD + text.length);
    }
    await wal.close();
    return { file: join(dir, '00000001.wal'), ends };
  }

  it('cut at any byte holds exactly the records before the cut, and goes on', async () => {
    const { file, ends } = await small();
    const size = statSync(file).size;
    expect(size).toBe(ends.at(-1));
    for (let cut = 0; cut <= size; cut += 1) {
      const where = join(base, `cut-${cut}`);
      mkdirSync(where);
      copyFileSync(file, join(where, '00000001.wal'));
      truncateSync(join(where, '00000001.wal'), cut);
      const { wal, seen, repairs } = await open({}, where);
      const expected = texts.slice(0, Math.max(0, ends.filter((end) => end <= cut).length - 1));
      expect(seen, `cut at ${cut}`).toEqual(expected);
      expect(repairs.length, `cut at ${cut}`).toBe(ends.includes(cut) ? 0 : 1);
      wal.append(Buffer.from('more'));
      await wal.close();
      expect(await contents(where)).toEqual([...expected, 'more']);
    }
  });

  it('with any bit flipped is refused by file and offset, or loses only its last record, and says so', async () => {
    const { file, ends } = await small();
    const bytes = readFileSync(file);
    const lastStart = ends.at(-2) ?? 0;
    for (let bit = 0; bit < bytes.length * 8; bit += 3) {
      const damaged = Buffer.from(bytes);
      const at = bit >> 3;
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (bit & 7));
      const where = join(base, 'flip');
      rmSync(where, { recursive: true, force: true });
      mkdirSync(where);
      const target = join(where, '00000001.wal');
      writeFileSync(target, damaged);
      if (at >= lastStart) {
        const { wal, seen, repairs } = await open({}, where);
        expect(seen).toEqual(texts.slice(0, -1));
        expect(repairs[0]).toContain(`${target}: cut off`);
        await wal.close();
      } else {
        const { failure } = await failureOf(open({}, where));
        expect(failure.kind).toBe('data-dir');
        const offset = ends.filter((end) => end <= at).at(-1) ?? 0;
        expect(failure.what).toContain(`${target} is damaged at offset ${offset}`);
        expect(readFileSync(target).equals(damaged)).toBe(true);
      }
    }
  });

  it('zero-filled at its end, as a power cut leaves it, is cut off there', async () => {
    const { file } = await small();
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(9000)]));
    const { wal, seen, repairs } = await open();
    expect(seen).toEqual(texts);
    expect(repairs[0]).toContain('9000 bytes');
    await wal.close();
  });

  it('is not fooled by another log as payload of the torn record', async () => {
    const { file } = await small();
    const inner = readFileSync(file);
    const where = join(base, 'outer');
    const { wal } = await open({}, where);
    wal.append(Buffer.from('kept'));
    wal.append(Buffer.concat([inner, Buffer.alloc(100)]));
    await wal.close();
    const outer = join(where, '00000001.wal');
    truncateSync(outer, statSync(outer).size - 1);
    expect(await contents(where)).toEqual(['kept']);
  });

  it('refuses a torn segment that is not the last, a missing one, and a newer format', async () => {
    const { wal } = await open({ segmentBytes: 200 });
    for (let index = 0; index < 30; index += 1) {
      wal.append(Buffer.from(`record ${index}`));
      await wal.written();
    }
    await wal.close();
    const second = join(dir, '00000002.wal');
    const whole = readFileSync(second);
    truncateSync(second, whole.length - 1);
    expect((await failureOf(open())).failure.what).toContain(second);
    rmSync(second);
    expect((await failureOf(open())).failure.what).toBe(`${second} is missing, but later files are there`);
    const newer = Buffer.from(whole);
    newer[7] = 9;
    const { crc32 } = await import('node:zlib');
    newer.writeUInt32LE(crc32(newer.subarray(0, 12)), 12);
    writeFileSync(second, newer);
    expect((await failureOf(open())).failure.what).toContain('format 9');
    writeFileSync(second, whole);
    expect(await contents()).toHaveLength(30);
  });
});

describe('a full or broken disk', () => {
  const errno = (code: string): Error => Object.assign(new Error(`${code}: made by the test`), { code });

  it.each(['ENOSPC', 'EIO'])('%s: rejects what was not written, keeps what was acknowledged', async (code) => {
    let room = 400;
    const write = (fd: number, buffers: readonly Buffer[], position: number): number => {
      if (room <= 0) throw errno(code);
      const all = Buffer.concat(buffers).subarray(0, room);
      room -= all.length;
      return nodeDisk.writevSync(fd, [all], position);
    };
    const disk: Disk = { ...nodeDisk, writevSync: write, writev: (...args) => Promise.resolve(write(...args)) };
    const failed: string[] = [];
    const { wal } = await open({ disk, onFailed: (error) => failed.push(error.failure.kind) });
    const acknowledged: string[] = [];
    for (let index = 0; index < 50 && wal.failure === null; index += 1) {
      wal.append(Buffer.from(`record ${index}`));
      await wal.synced().then(
        () => acknowledged.push(`record ${index}`),
        () => undefined,
      );
    }
    const error = await failureOf(wal.written());
    expect(error.failure.kind).toBe(code === 'ENOSPC' ? 'disk-full' : 'data-dir');
    expect(error.failure.what).toContain(join(dir, '00000001.wal'));
    expect(failed).toEqual([error.failure.kind]);
    wal.append(Buffer.from('never'));
    await failureOf(wal.synced());
    await failureOf(wal.snapshot([]));
    await wal.close();
    expect(acknowledged.length).toBeGreaterThan(5);
    expect(await contents()).toEqual(acknowledged);
  });

  it('a failed sync fails everybody who waits and is never tried again', async () => {
    let broken = false;
    let calls = 0;
    const disk: Disk = {
      ...nodeDisk,
      fdatasync: (fd) => (broken ? ((calls += 1), Promise.reject(errno('EIO'))) : nodeDisk.fdatasync(fd)),
    };
    const { wal } = await open({ disk });
    broken = true;
    wal.append(Buffer.from('a'));
    const both = [failureOf(wal.synced()), failureOf(wal.synced())];
    await Promise.all(both);
    await failureOf(wal.synced());
    expect(calls).toBe(1);
    await wal.close();
  });

  it('a snapshot that does not fit leaves the log complete and usable', async () => {
    let full = false;
    const disk: Disk = {
      ...nodeDisk,
      writev: (...args) => (full ? Promise.reject(errno('ENOSPC')) : nodeDisk.writev(...args)),
    };
    const { wal } = await open({ disk });
    wal.append(Buffer.from('a'));
    await wal.synced();
    full = true;
    expect((await failureOf(wal.snapshot([Buffer.from('a')]))).failure.kind).toBe('disk-full');
    full = false;
    wal.append(Buffer.from('b'));
    await wal.close();
    expect(names().filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(await contents()).toEqual(['a', 'b']);
  });
});

describe('a snapshot', () => {
  it('replaces what was before it and keeps what comes during and after it', async () => {
    const { wal } = await open({ segmentBytes: 500 });
    for (let index = 0; index < 100; index += 1) wal.append(Buffer.from(`old ${index}`));
    await wal.written();
    const size = wal.totalBytes;
    const done = wal.snapshot([Buffer.from('state 1'), Buffer.from('state 2')]);
    expect(wal.compacting).toBe(true);
    wal.append(Buffer.from('during'));
    await done;
    expect(wal.compacting).toBe(false);
    expect(wal.totalBytes).toBeLessThan(size);
    wal.append(Buffer.from('after'));
    await wal.close();
    const seen = ['state 1', 'state 2', 'during', 'after'];
    expect(await contents()).toEqual(seen);
    expect(names()).toHaveLength(2);
    const again = await open();
    await again.wal.snapshot([Buffer.from('all')]);
    await again.wal.snapshot([Buffer.from('all of it')]);
    await again.wal.close();
    expect(await contents()).toEqual(['all of it']);
  });

  it('may be empty, and is abandoned by close', async () => {
    const { wal } = await open();
    wal.append(Buffer.from('x'));
    await wal.snapshot([]);
    expect(await contents(dir).catch(() => 'locked')).toBe('locked');
    wal.append(Buffer.from('y'));
    function* endless(): Generator<Buffer> {
      for (;;) yield Buffer.alloc(100_000, 'z');
    }
    const endlessly = failureOf(wal.snapshot(endless()));
    await wal.close();
    expect((await endlessly).failure.kind).toBe('cancelled');
    expect(await contents()).toEqual(['y']);
  });

  it('is whole or not there at every point where the process may die', async () => {
    const { wal } = await open();
    wal.append(Buffer.from('a'));
    wal.append(Buffer.from('b'));
    await wal.synced();
    const copies: { step: string; where: string; expected: string[] }[] = [];
    const copy = (step: string, expected: string[]): void => {
      const where = join(base, step);
      mkdirSync(where);
      for (const name of names().filter((one) => one !== 'lock')) copyFileSync(join(dir, name), join(where, name));
      copies.push({ step, where, expected });
    };
    const old = readFileSync(join(dir, '00000001.wal'));
    function* records(): Generator<Buffer> {
      copy('begun', ['a', 'b']);
      yield Buffer.alloc(600_000, 's');
      copy('first slice written', ['a', 'b']);
      yield Buffer.from('ab');
    }
    await wal.snapshot(records());
    wal.append(Buffer.from('c'));
    await wal.written();
    copy('done', ['s'.repeat(600_000), 'ab', 'c']);
    copy('renamed, old segments still there', ['s'.repeat(600_000), 'ab', 'c']);
    writeFileSync(join(base, 'renamed, old segments still there', '00000001.wal'), old);
    copy('second half of the temporary file missing', ['s'.repeat(600_000), 'ab', 'c']);
    writeFileSync(join(base, 'second half of the temporary file missing', '00000009.snap.tmp'), 'MEMT');
    for (const { step, where, expected } of copies) {
      expect(await contents(where), step).toEqual(expected);
      expect(
        names(where).some((name) => name.endsWith('.tmp')),
        step,
      ).toBe(false);
      expect(await contents(where), `${step}, opened again`).toEqual(expected);
    }
    await wal.close();
  });

  it('that is cut short or damaged is refused, and nothing beside it is removed', async () => {
    const { wal } = await open();
    wal.append(Buffer.from('a'));
    await wal.synced();
    const old = readFileSync(join(dir, '00000001.wal'));
    await wal.snapshot([Buffer.from('one'), Buffer.from('two')]);
    await wal.close();
    writeFileSync(join(dir, '00000001.wal'), old);
    const file = join(dir, '00000001.snap');
    const whole = readFileSync(file);
    for (let cut = 0; cut < whole.length; cut += 1) {
      writeFileSync(file, whole.subarray(0, cut));
      expect((await failureOf(open())).failure.what, `cut at ${cut}`).toContain(file);
    }
    expect(existsSync(join(dir, '00000001.wal'))).toBe(true);
    writeFileSync(file, whole);
    expect(await contents()).toEqual(['one', 'two']);
  });

  it('is due when more than half of a large log is dead', () => {
    const wal = { totalBytes: 10_000_000, compacting: false, failure: null };
    expect(compactionDue(wal, 4_900_000)).toBe(true);
    expect(compactionDue(wal, 5_100_000)).toBe(false);
    expect(compactionDue({ ...wal, totalBytes: 1_000_000 }, 0)).toBe(false);
    expect(compactionDue({ ...wal, compacting: true }, 0)).toBe(false);
  });
});

describe('the owner of a log', () => {
  it('is one living process; the failure names it', async () => {
    const { wal } = await open();
    const { failure } = await failureOf(open());
    expect(failure.kind).toBe('data-dir');
    expect(failure.what).toContain(`${dir} is in use by pid ${process.pid}`);
    await wal.close();
    expect(names()).not.toContain('lock');
    expect(await contents()).toEqual([]);
  });

  it.each([
    ['a dead process', JSON.stringify({ pid: 4_194_000, startTime: 1, bootId: 'x' })],
    ['a process that had our pid', JSON.stringify({ ...identityOf(process.pid), startTime: 1 })],
    ['the time before a reboot', JSON.stringify({ ...identityOf(process.pid), bootId: 'another' })],
    ['a full disk', ''],
    ['somebody else', 'null'],
  ])('is taken over from a lock left by %s', async (_, text) => {
    mkdirSync(dir);
    writeFileSync(join(dir, 'lock'), text);
    expect(await contents()).toEqual([]);
    expect(names()).toEqual(['00000001.wal']);
  });

  it('cannot use what is no folder', async () => {
    writeFileSync(dir, '');
    const { failure } = await failureOf(open());
    expect(failure.kind).toBe('data-dir');
    expect(failure.what).toContain(dir);
  });
});

describe('kill -9 under load', () => {
  it('loses nothing that was acknowledged, and nothing but a tail of what was not', async () => {
    const fixture = join(import.meta.dirname, 'fixtures/writer.mjs');
    const compiled = compileSources(join(base, 'compiled'), ['src/wal', 'src/model', 'src/util', 'src/host']);
    for (let round = 0; round < 4; round += 1) {
      const child = spawn(process.execPath, [fixture, join(compiled, 'src/wal/wal.js'), dir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = new Promise((resolve) => child.once('close', resolve));
      let ledger = '';
      const target = 3000 + round * 1111;
      await new Promise<void>((resolve) => {
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          ledger += text;
          if (ledger.length > target) resolve();
        });
      });
      child.kill('SIGKILL');
      await exited;
      const lines = ledger.split('\n').slice(0, -1);
      const last = Number(lines.at(-1));
      const seen = await contents();
      expect(seen.length).toBeGreaterThan(last);
      expect(last).toBeGreaterThan(0);
      expect(seen.map((text) => Number(text.split(' ')[0]))).toEqual(seen.map((_, index) => index));
    }
  });
});
