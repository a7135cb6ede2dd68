import type { LogRecord } from '../model/record.js';
import { parseRecord } from './parse/dialect.js';
import type { LogSource } from './source.js';

/** A record whose lines say no time: its place in the file tells it. */
export type Untimed = Omit<LogRecord, 'time'> & { readonly time?: undefined };

export function isUntimed(record: LogRecord | Untimed): record is Untimed {
  return record.time === undefined;
}

/** The record that the lines of a source are; undefined for blank lines and torn ends. */
export function recordOf(source: LogSource, lines: readonly string[]): LogRecord | Untimed | undefined {
  const [line = ''] = lines;
  if (source.dialect === 'ndjson') {
    const own = ownRecord(line);
    if (own) return own;
    // The last line of a file may be on its way.
    if (line === '' || (line.startsWith('{') && !line.endsWith('}'))) return undefined;
  }
  const { time, level, text, pid, fields, stack } = parseRecord(source.dialect, lines);
  if (text.trim() === '' && stack === undefined) return undefined;
  return {
    ...(time === undefined ? {} : { time }),
    level,
    unit: source.unit,
    instance: source.instance,
    pid: pid ?? null,
    text,
    ...(fields === undefined ? {} : { fields }),
    ...(stack === undefined ? {} : { stack }),
  };
}

/** Our own writer's lines need no look at their parts: its first key is the time and its second the level. */
function ownRecord(line: string): LogRecord | undefined {
  if (!line.startsWith('{"time":"') || line[32] !== 'Z') return undefined;
  try {
    return JSON.parse(line) as LogRecord;
  } catch {
    return undefined; // torn by a full disk
  }
}
