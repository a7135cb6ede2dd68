import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stripAnsi, visibleControls } from './ansi.js';
import { parseRecord, startsRecord, timeOfLine, type Dialect } from './dialect.js';
import { parseJsonLine } from './json-line.js';
import { levelFrom } from './level-name.js';
import type { Parsed } from './parsed.js';
import { parseTextBlock } from './text-block.js';
import { isoTime } from './timestamp.js';
import { parseRabbitmq } from './rabbitmq.js';

const corpus = (name: string): string => readFileSync(join(import.meta.dirname, 'corpus', name), 'utf8');

function recordsOf(dialect: Dialect, text: string): Parsed[] {
  const groups: string[][] = [];
  for (const line of text.trimEnd().split('\n')) {
    const group = groups.at(-1);
    if (group && !startsRecord(dialect, line, group)) group.push(line);
    else groups.push([line]);
  }
  return groups.map((group) => parseRecord(dialect, group)).filter((record) => record.text.trim() !== '');
}

describe('RabbitMQ 3.10.8, real log of a broker that met bad clients', () => {
  const records = recordsOf('rabbitmq', corpus('rabbitmq-3.10.8.txt'));

  it('has a time and a level in every record, and no guess', () => {
    expect(records.length).toBe(332);
    expect(records.every((record) => record.time !== undefined && record.fields?.['parsed'] === undefined)).toBe(true);
  });
  it('says in one line what went wrong, the prefix of each line joined into one record', () => {
    const errors = records.filter((record) => record.level === 'error').map((record) => record.text);
    expect(errors).toMatchInlineSnapshot(`
      [
        "Error on AMQP connection <0.683.0> (127.0.0.1:59960 -> 127.0.0.1:26673, state: starting): PLAIN login refused: user 'guest' - invalid credentials",
        "Error on AMQP connection <0.690.0> (127.0.0.1:59972 -> 127.0.0.1:26673, user: 'guest', state: opening): vhost novhost not found",
        "Channel error on connection <0.698.0> (127.0.0.1:59978 -> 127.0.0.1:26673, vhost: '/', user: 'guest'), channel 1: operation queue.declare caused a channel exception precondition_failed: inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'",
        "Channel error on connection <0.718.0> (127.0.0.1:59990 -> 127.0.0.1:26673, vhost: '/', user: 'guest'), channel 1: operation basic.consume caused a channel exception not_found: no queue 'missing-queue' in vhost '/'",
        "closing AMQP connection <0.742.0> (127.0.0.1:59998 -> 127.0.0.1:26673): {bad_header,<<"GET / HT">>}",
        "closing AMQP connection <0.747.0> (127.0.0.1:60010 -> 127.0.0.1:26673): {handshake_error,starting,65535,{amqp_error,frame_error,"type 255, all octets = <<>>: {frame_too_large,4294967295,4088}",none}}",
        "three~nlines~nhere",
        "Error in process <0.798.0> on node shop@localhost with exit value: {boom,[{erl_eval,do_apply,7,[{file,"erl_eval.erl"},{line,742}]}]}",
        "crash of a process (erlang:error/1): bad argument",
        "crash of a process (erl_eval:'-expr/6-fun-2-'/0): {bad,[some,long,thing]}",
      ]
    `);
  });
  it('keeps the whole crash report as the stack', () => {
    const crash = records.find((record) => record.text.startsWith('crash of a process (erlang:error/1)'));
    expect(crash?.stack?.split('\n').length).toBe(16);
    expect(crash?.stack).toContain('reductions: 119');
  });
  it('reads microseconds and the offset', () => {
    expect(records.find((record) => record.level === 'warn')?.time).toBe('2026-11-23T20:38:32.661Z');
  });
  it.each([
    ['shutdown', 'info'],
    ['noproc', 'info'],
    ['{badmatch,x}', 'error'],
  ])('a supervisor that reports %s while it stops its children is %s', (reason, level) => {
    const prefix = '2026-11-23 21:42:01.100000+00:00 [error] <0.900.0>';
    const lines = [
      'supervisor: {<0.900.0>,rabbit_channel_sup}',
      '    errorContext: shutdown_error',
      `    reason: ${reason}`,
      '    offender: [{pid,<0.903.0>},',
      '               {id,channel}]',
    ];
    expect(parseRabbitmq(lines.map((line) => `${prefix} ${line}`))?.level).toBe(level);
  });
  it('keeps the banner as one information', () => {
    const banner = records.find((record) => record.text.includes('Starting RabbitMQ 3.10.8'));
    expect(banner).toMatchObject({ level: 'info' });
    expect(banner?.text.split('\n').length).toBe(3);
  });
});

describe('RabbitMQ whose port is taken', () => {
  it('ends in one error that names the reason', () => {
    const last = recordsOf('rabbitmq', corpus('rabbitmq-port-taken.txt')).findLast(
      (record) => record.level === 'error',
    );
    expect(last?.text).toMatch(/^BOOT FAILED: Error during startup: .*could_not_start_listener.*… eaddrinuse$/);
    expect(last?.stack).toContain('"TCP listener"');
  });
  it('shows the same in the output of the script, after its banner', () => {
    const records = recordsOf('rabbitmq', `${corpus('rabbitmq-stdout.txt')}\n${corpus('rabbitmq-stderr.txt')}`);
    expect(
      records.filter((record) => record.level === 'error').map((record) => record.text.split(' ', 2).join(' ')),
    ).toEqual(['BOOT FAILED', 'Error during', 'init terminating']);
  });
  it('shows the same on stderr as errors, not as lines of nothing', () => {
    const records = recordsOf('stderr', corpus('rabbitmq-stderr.txt'));
    expect(records.map((record) => [record.level, record.text.slice(0, 40)])).toMatchInlineSnapshot(`
      [
        [
          "error",
          "BOOT FAILED",
        ],
        [
          "warn",
          "===========",
        ],
        [
          "error",
          "Error during startup: {error,",
        ],
        [
          "error",
          "init terminating in do_boot ({error,{cou",
        ],
        [
          "warn",
          "Crash dump is being written to: /srv/sho",
        ],
      ]
    `);
  });
});

describe('mongod', () => {
  const line = (s: string, msg: string, attr: object): string =>
    JSON.stringify({
      t: { $date: '2026-01-02T03:04:05.678+01:00' },
      s,
      c: 'STORAGE',
      id: 20557,
      ctx: 'initandlisten',
      msg,
      attr,
    });

  it.each([
    ['F', 'fatal'],
    ['E', 'error'],
    ['W', 'warn'],
    ['I', 'info'],
    ['D1', 'debug'],
    ['D5', 'debug'],
  ])('severity %s is %s', (severity, level) => {
    expect(parseJsonLine(line(severity, 'x', {}))).toMatchObject({
      level,
      time: '2026-01-02T02:04:05.678Z',
      text: 'x',
    });
  });
  it('tells the reason with the message', () => {
    const parsed = parseJsonLine(
      line('E', 'DBException in initAndListen, terminating', { error: 'DBPathInUse: Unable to lock the lock file' }),
    );
    expect(parsed?.text).toBe('DBException in initAndListen, terminating: DBPathInUse: Unable to lock the lock file');
    expect(parsed?.fields).toMatchObject({ component: 'STORAGE', id: 20557, ctx: 'initandlisten' });
  });
  it('reads errors that are objects', () => {
    const parsed = parseJsonLine(
      line('E', 'Failed', { error: { code: 9001, codeName: 'SocketException', errmsg: 'Address already in use' } }),
    );
    expect(parsed?.text).toBe('Failed: SocketException: Address already in use');
  });
  it('does not take an unknown severity for one', () => {
    expect(parseJsonLine(line('X', 'x', {}))).toBeUndefined();
  });
});

describe('loggers', () => {
  it('pino', () => {
    expect(
      parseJsonLine(
        '{"level":50,"time":1700000000123,"pid":7,"hostname":"h","reqId":1,"err":{"type":"TypeError","message":"no","stack":"TypeError: no\\n    at a (/x.js:1:2)","code":"E"},"msg":"request failed"}',
      ),
    ).toEqual({
      level: 'error',
      time: '2023-11-14T22:13:20.123Z',
      pid: 7,
      text: 'request failed',
      fields: { reqId: 1, err: { code: 'E' } },
      stack: 'TypeError: no\n    at a (/x.js:1:2)',
    });
  });
  it('bunyan', () => {
    expect(
      parseJsonLine(
        '{"name":"app","hostname":"h","pid":7,"level":40,"msg":"slow","time":"2026-01-02T03:04:05.678Z","v":0}',
      ),
    ).toMatchObject({ level: 'warn', text: 'slow', time: '2026-01-02T03:04:05.678Z', fields: { name: 'app' } });
  });
  it('winston with errors({ stack: true })', () => {
    expect(
      parseJsonLine(
        '{"level":"error","message":"no","stack":"Error: no\\n    at b","timestamp":"2026-01-02 03:04:05Z"}',
      ),
    ).toMatchObject({ level: 'error', text: 'no', stack: 'Error: no\n    at b', time: '2026-01-02T03:04:05.000Z' });
  });
  it('RabbitMQ in JSON', () => {
    expect(
      parseJsonLine(
        '{"time":"2026-01-02 03:04:05.678901+00:00","level":"warning","msg":"low","pid":"<0.1.0>","domain":"rabbitmq"}',
      ),
    ).toMatchObject({ level: 'warn', time: '2026-01-02T03:04:05.678Z', text: 'low' });
  });
  it('memt', () => {
    expect(
      parseJsonLine(
        '{"time":"2026-01-02T03:04:05.678Z","level":"fatal","unit":"web","instance":"web.0","pid":1,"text":"t","stack":"s"}',
      ),
    ).toMatchObject({ level: 'fatal', text: 't', stack: 's', pid: 1 });
  });
  it.each([
    '{"a":1}',
    '{"level":"a nice one"}',
    '{"level":5,"msg":"syslog counts down"}',
    '{broken',
    '[1]',
    'null',
    '{"level":"info"}',
  ])('does not take %s for a log record', (line) => expect(parseJsonLine(line)).toBeUndefined());
  it('survives hostile keys', () => {
    expect(parseJsonLine('{"level":"constructor","msg":"x"}')).toBeUndefined();
    expect(parseJsonLine('{"__proto__":{"level":"error"},"level":"info","msg":"x"}')).toMatchObject({ level: 'info' });
    expect(levelFrom('__proto__')).toBeUndefined();
    expect(levelFrom('toString')).toBeUndefined();
  });
});

describe('plain text', () => {
  it.each([
    ['ERROR it broke', 'error', 'it broke'],
    ['[error] it broke', 'error', 'it broke'],
    ['[ WARN ] low', 'warn', 'low'],
    ['WARNING: low', 'warn', 'low'],
    ['error: it broke', 'error', 'it broke'],
    ['2026-01-02 03:04:05,678 [CRITICAL] gone', 'fatal', 'gone'],
    ['[2026-01-02T03:04:05Z] INFO up', 'info', 'up'],
    ['time="2026-01-02" level=error msg="it broke"', 'error', 'time="2026-01-02" level=error msg="it broke"'],
    ['\u001b[31mERROR\u001b[39m it broke', 'error', 'it broke'],
    ['TypeError: x is not a function', 'error', 'TypeError: x is not a function'],
    ['MongoServerError: E11000 duplicate key', 'error', 'MongoServerError: E11000 duplicate key'],
  ])('%j is %s', (line, level, text) => {
    const parsed = parseTextBlock(line, 'stdout');
    expect(parsed).toMatchObject({ level, text });
    expect(parsed.fields?.['parsed']).toBeUndefined();
  });
  it.each([
    'Errors were not found',
    'no errors',
    'terror',
    'Listening on 5000',
    'The error page was shown',
    'Warnings: none',
    'http://x level=5',
  ])('%j has no level: it keeps the stream, marked', (line) => {
    expect(parseTextBlock(line, 'stdout')).toMatchObject({
      level: 'info',
      text: line,
      fields: { parsed: false, stream: 'stdout' },
    });
    expect(parseTextBlock(line, 'stderr')).toMatchObject({
      level: 'warn',
      text: line,
      fields: { parsed: false, stream: 'stderr' },
    });
  });
  it('groups a trace and names it by its first line', () => {
    const text = 'Error: no\n    at a (/x.js:1:2)\n    at b (/x.js:3:4) {\n  code: "E"\n}\nnext line\n';
    const records = recordsOf('stderr', text);
    expect(records.map((record) => [record.level, record.text])).toEqual([
      ['error', 'Error: no'],
      ['warn', 'next line'],
    ]);
    expect(records[0]?.stack).toContain('code: "E"');
  });
  it('reads how Node dies, blank lines and caret included', () => {
    const text =
      "before\n/app/server.js:3\n  throw new Error('no');\n  ^\n\nError: no\n    at Object.<anonymous> (/app/server.js:3:9)\n    at node:internal/main:1:2\n\nNode.js v20.20.2\nafter\n";
    const records = recordsOf('stderr', text);
    expect(records.map((record) => [record.level, record.text])).toEqual([
      ['warn', 'before'],
      ['fatal', 'Error: no'],
      ['warn', 'after'],
    ]);
    expect(records[1]?.stack).toContain('/app/server.js:3\n  throw');
  });
  it('reads how V8 dies of memory', () => {
    const text =
      '\n<--- Last few GCs --->\n\n[1:0x55]   100 ms: Mark-sweep 2.1 (2.5) -> 2.1 (2.5) MB\n\n<--- JS stacktrace --->\n\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n\n 1: 0xb7a940 node::Abort()\n';
    const fatal = recordsOf('stderr', text).filter((record) => record.level === 'fatal');
    expect(fatal.map((record) => record.text)).toEqual([
      'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
    ]);
  });
  it("takes Node's warnings for warnings", () => {
    expect(parseTextBlock('(node:1) [DEP0005] DeprecationWarning: Buffer() is old', 'stderr')).toMatchObject({
      level: 'warn',
    });
  });
  it('finds nothing slow in a long line', () => {
    const began = performance.now();
    for (const piece of ['a ', 'at ', '[', 'Error', ' \t', 'A:']) parseTextBlock(piece.repeat(100_000), 'stderr');
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

describe('times', () => {
  it.each([
    ['2026-01-02T03:04:05.678Z', '2026-01-02T03:04:05.678Z'],
    ['2026-01-02 03:04:05.678901+00:00', '2026-01-02T03:04:05.678Z'],
    ['2026-01-02T03:04:05+0130', '2026-01-02T01:34:05.000Z'],
    ['2026-01-02 03:04:05,1Z', '2026-01-02T03:04:05.100Z'],
    [1_700_000_000_123, '2023-11-14T22:13:20.123Z'],
    [1_700_000_000, '2023-11-14T22:13:20.000Z'],
  ])('%s', (value, iso) => expect(isoTime(value)).toBe(iso));
  it.each(['2026-13-45T99:99:99.000Z', 'yesterday', '', 0, -1, NaN, null, '20260102'])('refuses %s', (value) => {
    expect(isoTime(value)).toBeUndefined();
  });
  it.each([
    ['ndjson', '{"time":"2026-01-02T03:04:05.678Z","level":"info"', '2026-01-02T03:04:05.678Z'],
    ['mongod', '{"t":{"$date":"2026-01-02T03:04:05.678+00:00"},"s":"I"', '2026-01-02T03:04:05.678Z'],
    ['rabbitmq', '2026-01-02 03:04:05.678901+00:00 [info] <0.1.0> x', '2026-01-02T03:04:05.678Z'],
  ] as const)('of a line of %s', (dialect, line, iso) => expect(timeOfLine(dialect, line)).toBe(iso));
});

describe('terminal safety', () => {
  it('strips colours, titles and links', () => {
    expect(
      stripAnsi(
        '\u001b[1;31mred\u001b[0m \u001b]0;title\u0007x\u001b]8;;http://a\u001b\\link\u001b]8;;\u001b\\ \u009b2Jy',
      ),
    ).toBe('red xlink y');
  });
  it('shows what is left', () => {
    expect(visibleControls('a\u0007b\rc\u202ed\u009b\tz\n')).toBe('a\\x07b\\rc\\u202ed\\x9b\tz\n');
  });
});
