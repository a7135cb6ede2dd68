import type { Level } from '../model/level.js';
import type { Json, LogRecord } from '../model/record.js';
import { stripAnsi, visibleControls } from './parse/ansi.js';
import { redactText, toJson } from './to-json.js';

export interface FormatOptions {
  readonly color: boolean;
  /** Show the date before the clock time. */
  readonly dates: boolean;
  /** Width of the instance column, characters. */
  readonly width: number;
}

/** Cheap look for what redaction could change: most lines have none of it. */
const MAY_BE_SECRET = /:\/\/|pass|secret|token|key|credential|cookie|dsn/i;
const HIDDEN_CONTROLS = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;
const MAX_STACK_LINES = 40;
const MAX_FIELDS_LENGTH = 240;
/** Fields that repeat the text or concern only machines; `--json` shows them. */
const HIDDEN = new Set([
  'parsed',
  'stream',
  'attr',
  'ctx',
  'id',
  'component',
  'process',
  'tags',
  'origin',
  'message',
  'name',
  'level',
]);

const UNIT_COLORS: Readonly<Record<string, number>> = {
  mongodb: 32,
  rabbitmq: 35,
  worker: 36,
  web: 34,
  nginx: 33,
  keeper: 90,
};
const OTHER_COLORS = [92, 95, 96, 94, 93];
const LEVEL_COLORS: Readonly<Record<Level, string>> = {
  trace: '2',
  debug: '2',
  info: '0',
  warn: '33',
  error: '31',
  fatal: '97;41',
};

/**
 * A record for people: `14:02:03.123 error  web.0     text key=value`, the stack below it. Local time. A question mark after the
 * level says that it was not in the line (raw stderr). Nothing in the record can drive the terminal.
 */
export function formatRecord(record: LogRecord, options: FormatOptions): string {
  const { color, dates, width } = options;
  const paint = (code: string | number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const clock = localTime(record.time, dates);
  const doubt = record.fields?.['parsed'] === false && record.fields['stream'] === 'stderr' ? '?' : '';
  const level = `${record.level}${doubt}`.padEnd(6);
  const head = `${paint(2, clock)} ${paint(LEVEL_COLORS[record.level], level)} ${paint(unitColor(record.unit), record.instance.padEnd(width))} `;
  const indent = ' '.repeat(clock.length + 1 + level.length + 1 + Math.max(width, record.instance.length) + 1);
  const [first = '', ...rest] = printable(record.text);
  const fields = fieldsText(record.fields);
  const lines = [`${head}${first}${fields === '' ? '' : ` ${paint(2, fields)}`}`, ...rest.map((line) => indent + line)];
  for (const line of stackLines(record)) lines.push(indent + paint(2, line));
  return lines.join('\n');
}

/** A record as one line of JSON: the contract of `memt logs --json`. */
export function jsonRecord(record: LogRecord): string {
  const { time, level, unit, instance, pid, text, fields, stack } = record;
  const plain = JSON.stringify({
    time,
    level,
    unit,
    instance,
    pid,
    text,
    fields: fields ?? {},
    ...(stack === undefined ? {} : { stack }),
  });
  const line = MAY_BE_SECRET.test(plain)
    ? JSON.stringify({
        time,
        level,
        unit,
        instance,
        pid,
        text: redactText(text),
        fields: toJson(fields ?? {}),
        ...(stack === undefined ? {} : { stack: redactText(stack) }),
      })
    : plain;
  // JSON leaves these as they are, terminals do not.
  return line.replace(HIDDEN_CONTROLS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

let lastMinute = '';
let lastLocal = '';

/** `14:02:03.123`, with `dates` `2026-01-02 14:02:03.123`; local time. */
export function localTime(iso: string, dates: boolean): string {
  const minute = iso.slice(0, 16);
  if (minute !== lastMinute) {
    // Offsets from UTC are whole minutes: the rest of the text is the same in every zone.
    const at = new Date(iso);
    const two = (value: number): string => String(value).padStart(2, '0');
    lastLocal = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
    lastMinute = minute;
  }
  return `${dates ? lastLocal : lastLocal.slice(11)}${iso.slice(16, 23)}`;
}

function unitColor(unit: string): number {
  let hash = 0;
  for (const character of unit) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 997;
  return UNIT_COLORS[unit] ?? OTHER_COLORS[hash % OTHER_COLORS.length] ?? 0;
}

function printable(text: string): string[] {
  return visibleControls(stripAnsi(redactText(text)).replaceAll('\r\n', '\n')).split('\n');
}

function stackLines(record: LogRecord): string[] {
  if (record.stack === undefined) return [];
  const lines = printable(record.stack);
  const shown = record.text.endsWith(lines[0] ?? '') ? lines.slice(1) : lines;
  const more = shown.length - MAX_STACK_LINES;
  return more > 0 ? [...shown.slice(0, MAX_STACK_LINES), `… ${more} more lines (--json shows all)`] : shown;
}

function fieldsText(fields: LogRecord['fields']): string {
  if (fields === undefined) return '';
  const parts = flatten(toJson(fields) as { readonly [key: string]: Json }, '').join(' ');
  return parts.length > MAX_FIELDS_LENGTH ? `${parts.slice(0, MAX_FIELDS_LENGTH)}…` : parts;
}

/** `port=5000 err.code=ECONNREFUSED`: two levels deep, what is deeper as JSON. */
function flatten(fields: { readonly [key: string]: Json }, prefix: string): string[] {
  return Object.entries(fields).flatMap(([key, value]) => {
    if (HIDDEN.has(key)) return [];
    if (prefix === '' && typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return flatten(value as { readonly [key: string]: Json }, `${key}.`);
    }
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const quoted = /[\s="]/.test(text) && typeof value === 'string' ? JSON.stringify(text) : text;
    return [visibleControls(stripAnsi(`${prefix}${key}=${quoted}`)).replaceAll('\n', '\\n')];
  });
}
