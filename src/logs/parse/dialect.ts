import { unreachable } from '../../util/unreachable.js';
import { parseJsonLine } from './json-line.js';
import type { Parsed, Stream } from './parsed.js';
import { parseRabbitmq, rabbitPrefix } from './rabbitmq.js';
import { isContinuation, isErlangEnd, isHead, opensTrace, parseTextBlock } from './text-block.js';
import { isoTime, LEADING_TIMESTAMP } from './timestamp.js';

/** How a file is to be read: memt's own records, the engines' logs, and raw output. */
export type Dialect = 'ndjson' | 'mongod' | 'rabbitmq' | Stream;

/** Longest group of lines that is one record. */
export const MAX_GROUP_LINES = 2000;

/** True when `line` begins a new record after a record whose lines so far are `group` (not empty). */
export function startsRecord(dialect: Dialect, line: string, group: readonly string[]): boolean {
  if (group.length >= MAX_GROUP_LINES) return true;
  const head = group[0] ?? '';
  switch (dialect) {
    case 'ndjson':
      return true;
    case 'mongod':
      return line.startsWith('{') || head.startsWith('{') || !isContinuation(line);
    case 'rabbitmq': {
      const prefix = rabbitPrefix(line);
      if (prefix === undefined)
        return isErlangEnd(line) || (rabbitPrefix(head) === undefined && startsText(line, group));
      return prefix !== rabbitPrefix(head);
    }
    case 'stdout':
    case 'stderr':
      return startsText(line, group);
    default:
      return unreachable(dialect);
  }
}

function startsText(line: string, group: readonly string[]): boolean {
  const head = group[0] ?? '';
  if (head.startsWith('{') && group.length === 1 && parseJsonLine(head)) return true;
  // The caret report of a dying Node has a blank line and an unindented error in its middle.
  if (isCrashReport(group)) return isHead(line) || endsCrashReport(group);
  if (line === '') return !opensTrace(head);
  if (isContinuation(line)) return head === '';
  return true;
}

function isCrashReport(group: readonly string[]): boolean {
  return (
    /^(?:node:[\w/]+|(?:file:\/\/)?\/.+\.[cm]?[jt]sx?):\d+$/.test(group[0] ?? '') ||
    /^(?:FATAL ERROR: |<--- Last few GCs --->)/.test(group[0] ?? '')
  );
}

function endsCrashReport(group: readonly string[]): boolean {
  return group.some((line) => /^Node\.js v\d/.test(line));
}

/** The record that these lines are. Always one: what has no dialect is kept as text and marked `parsed: false`. */
export function parseRecord(dialect: Dialect, lines: readonly string[]): Parsed {
  const first = lines[0] ?? '';
  switch (dialect) {
    case 'ndjson':
    case 'mongod':
      return parseJsonLine(first) ?? parseTextBlock(lines.join('\n'), 'stdout');
    case 'rabbitmq':
      return parseRabbitmq(lines) ?? parseTextBlock(lines.join('\n'), 'stdout');
    case 'stdout':
    case 'stderr':
      return parseTextBlock(lines.join('\n'), dialect);
    default:
      return unreachable(dialect);
  }
}

/** The time of a record by its first line, ISO UTC, without parsing the rest; undefined when it carries none. */
export function timeOfLine(dialect: Dialect, line: string): string | undefined {
  switch (dialect) {
    case 'ndjson':
      return line.startsWith('{"time":"') ? isoTime(line.slice(9, 33)) : undefined;
    case 'mongod':
      return isoTime(/"\$date":"([^"]{19,40})"/.exec(line)?.[1]);
    case 'rabbitmq':
    case 'stdout':
    case 'stderr':
      return isoTime(LEADING_TIMESTAMP.exec(line)?.[1]);
    default:
      return unreachable(dialect);
  }
}
