import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../model/record.js';
import { formatRecord, jsonRecord, localTime } from './format.js';
import { parseGrep, parseLevels, parseLines, parseMoment } from './query.js';

const plain = { color: false, dates: false, width: 8 };
const record = (more: Partial<LogRecord>): LogRecord => ({
  time: '2026-01-02T03:04:05.678Z',
  level: 'info',
  unit: 'web',
  instance: 'web.0',
  pid: 1,
  text: 'hello',
  ...more,
});
const clock = localTime('2026-01-02T03:04:05.678Z', false);

describe('a line for people', () => {
  it('is aligned: time, level, instance, text, fields', () => {
    expect(
      formatRecord(record({ fields: { port: 5000, name: 'x', err: { code: 'E', message: 'm' }, path: 'a b' } }), plain),
    ).toBe(`${clock} info   web.0    hello port=5000 err.code=E path="a b"`);
  });
  it('keeps what follows under the text', () => {
    const text = formatRecord(
      record({ level: 'error', text: 'Error: no', stack: 'Error: no\n    at a\n    at b' }),
      plain,
    );
    expect(text.split('\n')).toEqual([
      `${clock} error  web.0    Error: no`,
      `${' '.repeat(29)}    at a`,
      `${' '.repeat(29)}    at b`,
    ]);
  });
  it('marks a level that was not in the line', () => {
    expect(formatRecord(record({ level: 'warn', fields: { parsed: false, stream: 'stderr' } }), plain)).toBe(
      `${clock} warn?  web.0    hello`,
    );
  });
  it('cuts a long stack and says so', () => {
    const lines = formatRecord(
      record({ stack: Array.from({ length: 90 }, (_, index) => `frame ${index}`).join('\n') }),
      plain,
    ).split('\n');
    expect(lines.length).toBe(42);
    expect(lines.at(-1)).toContain('… 50 more lines (--json shows all)');
  });
  it('cannot drive the terminal, from any of its parts', () => {
    const evil = '\u001b]0;owned\u0007\u001b[2J\r\u009b31m\u202eabc\u0000';
    const hostile = record({
      text: evil,
      instance: 'web.0',
      stack: `x\n${evil}`,
      fields: { [evil]: evil, nested: { [evil]: 1 } },
    });

    expect(formatRecord(hostile, plain)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);

    expect(jsonRecord(hostile)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(JSON.parse(jsonRecord(hostile))).toMatchObject({ text: evil });
  });
  it('is coloured only when asked', () => {
    expect(formatRecord(record({ level: 'error' }), { ...plain, color: true })).toBe(
      `\u001b[2m${clock}\u001b[0m \u001b[31merror \u001b[0m \u001b[34mweb.0   \u001b[0m hello`,
    );
  });
  it('hides passwords', () => {
    const secret = record({
      text: 'amqp://ana:hunter2@h/',
      stack: 'mongodb://ana:hunter2@h',
      fields: { password: 'hunter2', list: [{ apiToken: 'hunter2' }], uri: 'amqp://ana:hunter2@h' },
    });
    expect(formatRecord(secret, plain)).not.toContain('hunter2');
    expect(jsonRecord(secret)).not.toContain('hunter2');
  });
});

describe('a line for machines', () => {
  it('is the contract', () => {
    expect(jsonRecord(record({}))).toBe(
      '{"time":"2026-01-02T03:04:05.678Z","level":"info","unit":"web","instance":"web.0","pid":1,"text":"hello","fields":{}}',
    );
    expect(jsonRecord(record({ stack: 's', fields: { a: 1 }, pid: null }))).toBe(
      '{"time":"2026-01-02T03:04:05.678Z","level":"info","unit":"web","instance":"web.0","pid":null,"text":"hello","fields":{"a":1},"stack":"s"}',
    );
  });
});

describe('--level', () => {
  it.each([
    ['error', ['error', 'fatal'], 'error'],
    ['WARNING', ['warn', 'error', 'fatal'], 'warn'],
    ['error,fatal', ['error', 'fatal'], 'error or fatal'],
    ['fatal, warn', ['warn', 'fatal'], 'warn or fatal'],
    ['info,', ['info'], 'info'],
  ])('%s', (text, levels, label) => {
    const result = parseLevels(text);
    expect(result.ok && [...result.value.levels]).toEqual(levels);
    expect(result.ok && result.value.label).toBe(label);
  });
  it.each([
    ['eror', 'Did you mean error?'],
    ['error,wran', 'Did you mean warn?'],
    ['', 'The levels are'],
    [',', 'The levels are'],
    ['__proto__', 'The levels are'],
  ])('%s is refused', (text, mend) => {
    const result = parseLevels(text);
    expect(result.ok ? '' : `${result.failure.kind} ${result.failure.mend ?? ''}`).toContain(`usage ${mend}`);
  });
});

describe('--since', () => {
  const now = new Date(2026, 0, 2, 15, 30, 0).getTime();
  const at = (...parts: [number, number, number, number?, number?, number?]): number =>
    new Date(...(parts as [number, number, number])).getTime();
  it.each([
    ['10m', now - 600_000],
    ['1h30m', now - 5_400_000],
    ['90s ago', now - 90_000],
    ['60d', now - 60 * 86_400_000],
    ['2w', now - 14 * 86_400_000],
    ['14:02', new Date(2026, 0, 2, 14, 2).getTime()],
    ['23:00', new Date(2026, 0, 1, 23, 0).getTime()],
    ['9:05:07', new Date(2026, 0, 2, 9, 5, 7).getTime()],
    ['today', at(2026, 0, 2)],
    ['yesterday', at(2026, 0, 1)],
    ['now', now],
    ['2026-01-01', at(2026, 0, 1)],
    ['2026-01-01T10:00', new Date(2026, 0, 1, 10).getTime()],
    ['2026-01-01 10:00:30', new Date(2026, 0, 1, 10, 0, 30).getTime()],
    ['2026-01-01T10:00:00Z', Date.UTC(2026, 0, 1, 10)],
    ['2026-01-01T10:00:00+02:00', Date.UTC(2026, 0, 1, 8)],
  ])('%s', (text, ms) => expect(parseMoment(text, '--since', now)).toEqual({ ok: true, value: ms }));
  it.each(['', 'soon', '10', '-5m', '25:00', '12:60', '2026-13-01', '2026-01-01T99:00', '5 parsecs', '1e9s'])(
    '%j is refused',
    (text) => {
      const result = parseMoment(text, '--since', now);
      expect(result.ok ? '' : result.failure.what).toContain('is no time');
    },
  );
});

describe('--lines and --grep', () => {
  it.each([
    ['5', 5],
    ['0', 0],
    ['all', Infinity],
  ])('--lines %s', (text, count) => expect(parseLines(text)).toEqual({ ok: true, value: count }));
  it.each(['', '-1', '1.5', 'many', '99999999999'])('--lines %s is refused', (text) =>
    expect(parseLines(text).ok).toBe(false),
  );
  it.each([
    ['timeout', 'Timeout!', true],
    ['Timeout', 'timeout', false],
    ['a.c', 'abc', true],
    ['a(c', 'xa(cx', true],
    ['[', 'a[b', true],
    ['*x/-', 'a*x/-', true],
  ])('--grep %s on %s', (pattern, text, found) => expect(parseGrep(pattern).test(text)).toBe(found));
});
