import type { Level } from '../../model/level.js';
import type { Json } from '../../model/record.js';
import type { Fields, Parsed } from './parsed.js';
import { isoTime } from './timestamp.js';

type JsonObject = { readonly [key: string]: Json };

const SEVERITY: Readonly<Record<string, Level>> = { F: 'fatal', E: 'error', W: 'warn', I: 'info', D: 'debug' };

/**
 * mongod 4.4 and newer: `{"t":{"$date":"…"},"s":"E","c":"STORAGE","id":20557,"ctx":"initandlisten","msg":"…","attr":{…}}`.
 * Severities D1 to D5 are debug. The attributes that explain a failure become part of the text, all of them stay in the fields.
 */
export function parseMongod(object: JsonObject): Parsed | undefined {
  const { t, s, c, id, ctx, msg, attr, tags } = object;
  if (typeof s !== 'string' || typeof c !== 'string' || typeof msg !== 'string' || !isObject(t)) return undefined;
  const level = /^D[1-5]$/.test(s) ? 'debug' : SEVERITY[s];
  const date = t['$date'];
  if (level === undefined || typeof date !== 'string') return undefined;
  const fields: Record<string, Json> = { component: c };
  if (id !== undefined) fields['id'] = id;
  if (ctx !== undefined) fields['ctx'] = ctx;
  if (attr !== undefined) fields['attr'] = attr;
  if (tags !== undefined) fields['tags'] = tags;
  const reason = isObject(attr) ? reasonOf(attr) : undefined;
  return {
    time: isoTime(date),
    level,
    text: reason === undefined ? msg : `${msg}: ${reason}`,
    fields: fields satisfies Fields,
    stack: isObject(attr) && typeof attr['backtrace'] === 'string' ? attr['backtrace'] : undefined,
  };
}

function reasonOf(attr: JsonObject): string | undefined {
  for (const key of ['error', 'reason', 'errmsg', 'message', 'exitCode', 'path', 'startupWarning']) {
    const value = attr[key];
    if (typeof value === 'string' || typeof value === 'number')
      return key === 'exitCode' ? `exit code ${value}` : String(value);
    if (isObject(value) && typeof value['errmsg'] === 'string') {
      return typeof value['codeName'] === 'string' ? `${value['codeName']}: ${value['errmsg']}` : value['errmsg'];
    }
  }
  return undefined;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
