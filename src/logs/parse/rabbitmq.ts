import type { Parsed } from './parsed.js';
import { levelFrom } from './level-name.js';
import { isoTime } from './timestamp.js';

/** `2026-01-02 03:04:05.678901+00:00 [error] <0.1.0> text`; 3.10 repeats all of it on every line of a message, 4.x only on the first. */
const PREFIX =
  /^(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3,6}(?:[+-]\d{2}:\d{2}|Z)) \[(\w+)\] (<\d+\.\d+\.\d+>|\S+)(?: |$)/;
/** Length of a summary taken from an Erlang term, in characters. */
const MAX_TERM = 240;
const POSIX_REASON = /\b(?:eaddrinuse|eaddrnotavail|eacces|eperm|enospc|emfile|enoent|econnrefused|nxdomain)\b/;

/** The time, level and process that a line begins with; equal prefixes in a row are one message. */
export function rabbitPrefix(line: string): string | undefined {
  return PREFIX.exec(line)?.[0].trimEnd();
}

/** One message of RabbitMQ, as the lines of its log; undefined when the first line has no prefix of RabbitMQ's. */
export function parseRabbitmq(lines: readonly string[]): Parsed | undefined {
  const match = PREFIX.exec(lines[0] ?? '');
  const said = levelFrom(match?.[2]);
  if (!match || said === undefined) return undefined;
  const body = trimBlank(lines.map((line) => stripPrefix(line)));
  const level = isOrderlyEnd(body) ? 'info' : said;
  const severe = level === 'error' || level === 'fatal';
  const text = severe ? summary(body) : body.join('\n');
  return {
    time: isoTime(match[1]),
    level,
    text,
    fields: { process: match[3] ?? '' },
    stack: severe && body.length > 2 ? body.join('\n') : undefined,
  };
}

/** OTP reports it as an error when a supervisor's child is gone already, or ends as told, while a connection is closed. */
function isOrderlyEnd(body: readonly string[]): boolean {
  if (!/^supervisor: /.test(body[0] ?? '') || valueOf(body, 'errorContext') !== 'shutdown_error') return false;
  return /^(?:shutdown|noproc|\{shutdown,)/.test(valueOf(body, 'reason') ?? '');
}

function stripPrefix(line: string): string {
  const match = PREFIX.exec(line);
  return (match ? line.slice(match[0].length) : line).trimEnd();
}

function trimBlank(lines: readonly string[]): string[] {
  const first = lines.findIndex((line) => line !== '');
  return first === -1 ? [] : lines.slice(first, lines.findLastIndex((line) => line !== '') + 1);
}

function summary(body: readonly string[]): string {
  const first = body[0]?.trim() ?? '';
  if (first === 'BOOT FAILED') {
    return `BOOT FAILED: ${term(body.slice(1).filter((line) => !/^=+$/.test(line)))}`;
  }
  if (first === 'crasher:') {
    const call = valueOf(body, 'initial call');
    const reason =
      valueOf(body, 'exception error') ?? valueOf(body, 'exception exit') ?? valueOf(body, 'exception throw');
    return `crash of a process${call === undefined ? '' : ` (${call})`}: ${reason ?? 'no reason given'}`;
  }
  if (/^supervisor: /.test(first)) {
    return `${first}: ${valueOf(body, 'errorContext') ?? 'report'}: ${valueOf(body, 'reason') ?? ''}`.slice(
      0,
      MAX_TERM * 2,
    );
  }
  // "Error on AMQP connection …:" and its like say what happened on the next lines.
  return /[:,{[(]$/.test(first) && body.length > 1 ? `${first} ${term(body.slice(1))}` : first;
}

/** `  key: value`, a value that goes on over deeper indented lines included. */
function valueOf(body: readonly string[], key: string): string | undefined {
  const index = body.findIndex((line) => line.trimStart().startsWith(`${key}: `));
  const line = body[index];
  if (line === undefined) return undefined;
  const indent = line.length - line.trimStart().length;
  const rest = body.slice(index + 1);
  const end = rest.findIndex((next) => next.length - next.trimStart().length <= indent);
  return term([line.trimStart().slice(key.length + 2), ...rest.slice(0, end === -1 ? rest.length : end)]);
}

/** An Erlang term over several lines as one, cut; the reason of the system's inside it survives the cut. */
function term(lines: readonly string[]): string {
  const whole = lines.reduce((text, line) => text + (/[[{(,]$/.test(text) || text === '' ? '' : ' ') + line.trim(), '');
  if (whole.length <= MAX_TERM) return whole;
  const reason = POSIX_REASON.exec(whole)?.[0];
  const head = whole.slice(0, MAX_TERM);
  return reason === undefined || head.includes(reason) ? `${head}…` : `${head}… ${reason}`;
}
