import type { Level } from '../../model/level.js';
import { stripAnsi } from './ansi.js';
import { parseJsonLine } from './json-line.js';
import { levelFrom } from './level-name.js';
import type { Parsed, Stream } from './parsed.js';
import { isoTime, LEADING_TIMESTAMP } from './timestamp.js';

/** `ERROR text`, `[error] text`, `<warn>: text`, `ERROR: text`, `error - text`: the word must be set apart to count as a level. */
const LEADING_LEVEL =
  /^(?:\[\s*([A-Za-z]{3,11})\s*\]:?|<([A-Za-z]{3,11})>:?|([A-Z]{3,11})(?=\s|:|\]|$):?|([A-Za-z]{3,11}):(?=\s)|([a-z]{3,11}) -(?=\s))\s*/;
const LOGFMT_LEVEL = /(?:^|\s)(?:level|lvl|severity)=("?)([A-Za-z]+)\1(?=\s|$)/;
const FRAME = /^\s+at .*(?::\d+:\d+\)?|\(native\)|\(<anonymous>\)|<anonymous>\)?)$/;
const ERROR_HEAD =
  /^(?:Uncaught |Unhandled \w+:? |.{0,40}\[(?:as )?)?(?:[A-Za-z_$][\w$.]*)?(?:Error|Exception|Rejection)\b(?: \[[\w]+\])?(?::|\s*$|\s\{)/;
const FATAL_HEAD =
  /^(?:FATAL ERROR: |Fatal error|panic: |Segmentation fault|#\s+Fatal error|Node\.js v\d+\.\d+\.\d+$|\[\d+:0x[0-9a-f]+\])/;
/** What the Erlang VM and RabbitMQ's script say on their way out, before or beside the log. */
const ERLANG_END =
  /^(?:BOOT FAILED|Error during startup: |\{?"?init terminating in |Kernel pid terminated|Error when reading .*cookie|Cookie file .+ must be|\{"Kernel pid terminated|ERROR: node with name )/;
const NODE_WARNING = /^\(node:\d+\) (?:\[(\w+)\] )?(\w*Warning): /;

/** True for a line that belongs to the one before: indented, a caret, a closing bracket, `Caused by`, Node's crash epilogue. */
export function isContinuation(line: string): boolean {
  return /^(?:\s|[)\]}]|Caused by: |\(Use `node |\.\.\. \d+ (?:more|lines)|$)/.test(line);
}

/** True for a line that can only be the beginning of a record: a logger's JSON, or a timestamp or level set apart at its beginning. */
export function isHead(line: string): boolean {
  if (line.startsWith('{')) return parseJsonLine(line) !== undefined;
  return LEADING_TIMESTAMP.test(line) || (leadingLevel(line) !== undefined && !ERROR_HEAD.test(line));
}

/** True when more lines are likely to follow: the beginning of an error or crash report. */
export function opensTrace(line: string): boolean {
  return ERROR_HEAD.test(line) || FATAL_HEAD.test(line) || isCrashHead(line);
}

/**
 * One record of text (first line and its continuation lines) without a dialect of its own. A level is taken only where a logger
 * puts it; a stack trace or a crash report means error or fatal. Everything else keeps its stream's level (stdout info, stderr
 * warn) and is marked `parsed: false`.
 */
export function parseTextBlock(block: string, stream: Stream): Parsed {
  const clean = stripAnsi(block)
    .replace(/\r(?=\n|$)/g, '')
    .replace(/\s+$/, '');
  const json = clean.includes('\n') ? undefined : parseJsonLine(clean);
  if (json) return json;
  const stamp = LEADING_TIMESTAMP.exec(clean);
  const time = stamp ? isoTime(stamp[1]) : undefined;
  const body = stamp && time !== undefined ? clean.slice(stamp[0].length) : clean;
  const parts = crash(body) ?? trace(body) ?? erlangEnd(body);
  const lead = leadingLevel(body);
  const level = parts?.level ?? lead?.level ?? logfmtLevel(body) ?? warningLevel(body);
  const text = parts?.text ?? (lead ? body.slice(lead.length) : body);
  return {
    time,
    level: level ?? (stream === 'stderr' ? 'warn' : 'info'),
    text: text === '' ? body : text,
    fields: level === undefined ? { stream, parsed: false } : stream === 'stderr' ? { stream } : undefined,
    stack: parts?.stack,
  };
}

function leadingLevel(body: string): { readonly level: Level; readonly length: number } | undefined {
  const match = LEADING_LEVEL.exec(body);
  const level = match && levelFrom(match[1] ?? match[2] ?? match[3] ?? match[4] ?? match[5]);
  return level ? { level, length: match[0].length } : undefined;
}

function logfmtLevel(body: string): Level | undefined {
  return levelFrom(LOGFMT_LEVEL.exec(body)?.[2]);
}

function warningLevel(body: string): Level | undefined {
  return NODE_WARNING.test(body) ? 'warn' : undefined;
}

interface Trace {
  readonly level: Level;
  readonly text: string;
  readonly stack: string | undefined;
}

/** `/app/x.js:3` + source line + caret + stack + `Node.js v20.20.2`: what Node prints when it dies of an exception. */
function crash(body: string): Trace | undefined {
  const lines = body.split('\n');
  const head = lines.findIndex((line) => opensTraceHead(line));
  const v8 = lines.find((line) => /^FATAL ERROR: /.test(line));
  if (v8 !== undefined) return { level: 'fatal', text: v8, stack: body };
  const died = lines.some((line) => /^Node\.js v\d+\.\d+\.\d+/.test(line));
  if (!isCrashHead(lines[0] ?? '') && !died) return undefined;
  const text = lines[head === -1 ? 0 : head] ?? '';
  return { level: 'fatal', text, stack: lines.length > 1 ? body : undefined };
}

function opensTraceHead(line: string): boolean {
  return ERROR_HEAD.test(line);
}

function isCrashHead(line: string): boolean {
  return /^(?:node:[\w/]+|(?:file:\/\/)?\/.+\.[cm]?[jt]sx?):\d+$/.test(line);
}

/** True for a line with which the Erlang VM or RabbitMQ's script begins its last words. */
export function isErlangEnd(line: string): boolean {
  return ERLANG_END.test(line);
}

function erlangEnd(body: string): Trace | undefined {
  if (!ERLANG_END.test(body)) return undefined;
  const [first = ''] = body.split('\n', 1);
  return { level: 'error', text: first, stack: body.length > first.length ? body : undefined };
}

function trace(body: string): Trace | undefined {
  const lines = body.split('\n');
  const first = lines[0] ?? '';
  const framed = lines.slice(1).some((line) => FRAME.test(line));
  if (!framed && !ERROR_HEAD.test(first)) return undefined;
  return {
    level: /^Uncaught |^Unhandled /.test(first) ? 'fatal' : 'error',
    text: first,
    stack: lines.length > 1 ? body : undefined,
  };
}
