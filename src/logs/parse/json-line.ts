import type { Json, LogRecord } from '../../model/record.js';
import { LEVELS } from '../../model/level.js';
import { levelFrom } from './level-name.js';
import { parseMongod } from './mongod.js';
import type { Fields, Parsed } from './parsed.js';
import { isoTime } from './timestamp.js';

type JsonObject = { readonly [key: string]: Json };

/** Keys under which loggers put level, text and time, the most usual first. */
const LEVEL_KEYS = ['level', 'severity', 'lvl', 'log.level', 'levelname'];
const TEXT_KEYS = ['msg', 'message', 'text'];
const TIME_KEYS = ['time', 'timestamp', '@timestamp', 'ts'];
/** Keys that repeat what the record says elsewhere, or nothing (bunyan's format version). */
const NOISE_KEYS = ['pid', 'hostname', 'v'];

/**
 * A JSON line of memt itself, mongod, pino, bunyan, winston or a logger like them; undefined when the line is no JSON object or
 * has no level that we know: printing JSON is not logging.
 */
export function parseJsonLine(line: string): Parsed | undefined {
  const object = objectOf(line);
  return object && (parseOwn(object) ?? parseMongod(object) ?? parseLogger(object));
}

function objectOf(line: string): JsonObject | undefined {
  const text = line.trim();
  if (!text.startsWith('{') || !text.endsWith('}')) return undefined;
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return undefined; // looks like JSON, is not
  }
}

/** memt's own record, whole; undefined when the object is another. */
export function ownRecord(object: JsonObject): LogRecord | undefined {
  const { time, level, unit, instance, text } = object;
  if (
    typeof time !== 'string' ||
    typeof unit !== 'string' ||
    typeof instance !== 'string' ||
    typeof text !== 'string'
  ) {
    return undefined;
  }
  return (LEVELS as readonly unknown[]).includes(level) ? (object as unknown as LogRecord) : undefined;
}

function parseOwn(object: JsonObject): Parsed | undefined {
  const record = ownRecord(object);
  if (!record) return undefined;
  const { time, level, text, pid, fields, stack } = record;
  return { time, level, text, fields, stack, pid: pid ?? undefined };
}

function parseLogger(object: JsonObject): Parsed | undefined {
  const [levelKey, level] = firstOf(object, LEVEL_KEYS, levelFrom);
  if (level === undefined) return undefined;
  const [textKey, text] = firstOf(object, TEXT_KEYS, stringOf);
  const [timeKey, time] = firstOf(object, TIME_KEYS, isoTime);
  const [errorKey, error] = firstOf(object, ['err', 'error', 'exception'], errorOf);
  const [, topStack] = firstOf(object, ['stack', 'stack_trace', 'exc_info'], stackOf);
  if (text === undefined && time === undefined && error === undefined) return undefined;
  const stack = error?.stack ?? topStack;
  const used = new Set([
    levelKey,
    textKey,
    timeKey,
    errorKey,
    ...(topStack === undefined ? [] : ['stack']),
    ...NOISE_KEYS,
  ]);
  const fields = Object.fromEntries(Object.entries(object).filter(([key]) => !used.has(key)));
  const rest: Fields = error && Object.keys(error.rest).length > 0 ? { ...fields, err: error.rest } : fields;
  return {
    time,
    level,
    text: text ?? error?.message ?? '',
    pid: typeof object['pid'] === 'number' ? object['pid'] : undefined,
    fields: Object.keys(rest).length > 0 ? rest : undefined,
    stack,
  };
}

function firstOf<T>(
  object: JsonObject,
  keys: readonly string[],
  read: (value: Json | undefined) => T | undefined,
): readonly [string | undefined, T | undefined] {
  for (const key of keys) {
    const value = Object.hasOwn(object, key) ? read(object[key]) : undefined;
    if (value !== undefined) return [key, value];
  }
  return [undefined, undefined];
}

function stringOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function stackOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value.includes('\n') ? value : undefined;
}

/** The serialised Error of pino (`type, message, stack`) and bunyan (`name, message, stack`). */
function errorOf(
  value: Json | undefined,
): { readonly message: string | undefined; readonly stack: string | undefined; readonly rest: Fields } | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { message, stack, type: _type, name: _name, ...rest } = value as JsonObject;
  if (typeof stack !== 'string' && typeof message !== 'string') return undefined;
  return { message: stringOf(message), stack: stringOf(stack), rest };
}
