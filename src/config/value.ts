import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { parseDuration } from '../util/duration.js';
import { suggest } from '../util/suggest.js';
import { unreachable } from '../util/unreachable.js';
import { parseCount, type CountFormula } from './count.js';
import type { Setting } from './settings-table.js';

/** An entry path with the export that it names. */
export interface EntryValue {
  readonly path: string;
  readonly exportName: string | null;
  /** As the user wrote it, without the export. */
  readonly written: string;
}

export type SettingValue = string | number | boolean | EntryValue | CountFormula;
export type ParsedValue = { readonly value: SettingValue } | { readonly problem: string };

/** What the setting takes, in words: for problems and docs. */
export function expectation(setting: Setting): string {
  const range =
    setting.min === undefined
      ? ''
      : setting.max === undefined
        ? ` of at least ${setting.min}`
        : ` from ${setting.min} to ${setting.max}`;
  switch (setting.type) {
    case 'string':
      return 'a text';
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number${range}`;
    case 'number':
      return `a number${range}`;
    case 'duration':
      return `a duration such as '30s' or 30000 (ms)${setting.min === undefined ? '' : `, at least ${setting.min} ms`}`;
    case 'port':
      return 'a port from 1 to 65535';
    case 'portOrFalse':
      return 'a port from 1 to 65535, or false';
    case 'host':
      return "an address such as '127.0.0.1'";
    case 'path':
      return 'a path';
    case 'entry':
      return "a module's path such as './server.js' or './server.js:app'";
    case 'uri':
      return `a URI that begins with ${(setting.schemes ?? []).map((scheme) => `${scheme}//`).join(' or ')}`;
    case 'count':
      return `a number${range}, or '2N+1', 'N+1', 'N' or 'cpus'`;
    case 'enum':
      return (setting.values ?? []).map((value) => `'${value}'`).join(' or ');
    default:
      return unreachable(setting.type);
  }
}

/**
 * Reads a value as it came from the config file, a variable or a flag; texts that hold a number or `true` count as such.
 * @param root folder from which paths resolve
 */
export function parseValue(setting: Setting, raw: unknown, root: string): ParsedValue {
  const value = parseTyped(setting, raw, root);
  if (value !== undefined) return { value };
  const hint = setting.type === 'enum' && typeof raw === 'string' ? suggest(raw, setting.values ?? []) : undefined;
  return {
    problem: `expected ${expectation(setting)}, got ${shown(setting, raw)}${hint === undefined ? '' : `; did you mean '${hint}'?`}`,
  };
}

function parseTyped(setting: Setting, raw: unknown, root: string): SettingValue | undefined {
  switch (setting.type) {
    case 'string':
      return textOf(raw);
    case 'boolean':
      return booleanOf(raw);
    case 'integer':
      return inRange(setting, integerOf(raw));
    case 'number':
      return inRange(setting, numberOf(raw));
    case 'duration':
      return inRange(setting, isScalar(raw) ? parseDuration(raw) : undefined);
    case 'port':
      return portOf(raw);
    case 'portOrFalse':
      return booleanOf(raw) === false && integerOf(raw) === undefined ? false : portOf(raw);
    case 'host':
      return hostOf(raw);
    case 'path':
      return pathOf(raw, root);
    case 'entry':
      return entryOf(raw, root);
    case 'uri':
      return uriOf(setting, raw);
    case 'count':
      return countOf(setting, raw);
    case 'enum':
      return typeof raw === 'string' && setting.values?.includes(raw) ? raw : undefined;
    default:
      return unreachable(setting.type);
  }
}

const isScalar = (raw: unknown): raw is string | number => typeof raw === 'string' || typeof raw === 'number';

function textOf(raw: unknown): string | undefined {
  return typeof raw === 'string' && raw.trim() !== '' && !/[\u0000-\u001f\u007f]/.test(raw) ? raw : undefined;
}

function booleanOf(raw: unknown): boolean | undefined {
  if (typeof raw === 'boolean') return raw;
  if (typeof raw !== 'string') return undefined;
  if (/^(true|yes|on|1)$/i.test(raw.trim())) return true;
  return /^(false|no|off|0)$/i.test(raw.trim()) ? false : undefined;
}

function numberOf(raw: unknown): number | undefined {
  if (typeof raw === 'number') return Number.isFinite(raw) ? raw : undefined;
  return typeof raw === 'string' && /^-?\d+(\.\d+)?$/.test(raw.trim()) ? Number(raw) : undefined;
}

function integerOf(raw: unknown): number | undefined {
  const value = numberOf(raw);
  return value !== undefined && Number.isSafeInteger(value) ? value : undefined;
}

function inRange(setting: Setting, value: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  return value >= (setting.min ?? -Infinity) && value <= (setting.max ?? Infinity) ? value : undefined;
}

function portOf(raw: unknown): number | undefined {
  const value = integerOf(raw);
  return value !== undefined && value >= 1 && value <= 65_535 ? value : undefined;
}

function hostOf(raw: unknown): string | undefined {
  const text = textOf(raw)
    ?.trim()
    .replace(/^\[(.*)\]$/, '$1');
  return text !== undefined &&
    /^[a-z0-9_.:%-]+$/i.test(text) &&
    !/:\d+$/.test(text.includes('::') ? '' : text.split(':').length === 2 ? text : '')
    ? text
    : undefined;
}

function pathOf(raw: unknown, root: string): string | undefined {
  const text = textOf(raw);
  if (text === undefined) return undefined;
  return text === '~' || text.startsWith('~/') ? resolve(homedir(), text.slice(2)) : resolve(root, text);
}

function entryOf(raw: unknown, root: string): EntryValue | undefined {
  const text = textOf(raw);
  if (text === undefined) return undefined;
  const [, written = text, exportName] = /^(.+?):([A-Za-z_$][\w$]*)$/.exec(text) ?? [];
  const path = pathOf(written, root);
  return path === undefined ? undefined : { path, exportName: exportName ?? null, written };
}

function uriOf(setting: Setting, raw: unknown): string | undefined {
  const text = textOf(raw)?.trim();
  if (text === undefined) return undefined;
  return setting.schemes?.some((scheme) => new RegExp(`^${scheme.replace('+', '\\+')}//[^/\\s]+\\S*$`).test(text))
    ? text
    : undefined;
}

function countOf(setting: Setting, raw: unknown): CountFormula | undefined {
  const formula = isScalar(raw) ? parseCount(raw) : undefined;
  if (formula === undefined || formula.factor > 100 || Math.abs(formula.add) > (setting.max ?? Infinity))
    return undefined;
  return formula.factor === 0 && inRange(setting, formula.add) === undefined ? undefined : formula;
}

/** The value as a problem may show it: never a secret, never long. */
function shown(setting: Setting, raw: unknown): string {
  if (raw === undefined) return 'nothing';
  if (Array.isArray(raw)) return 'a list';
  if (raw instanceof Promise) return 'a promise (await it first)';
  if (typeof raw === 'object') return 'an object';
  if (typeof raw === 'function') return 'a function';
  if (setting.secret) return `${typeof raw === 'string' ? 'a text' : `a ${typeof raw}`} (hidden)`;
  const text = typeof raw === 'string' ? `'${raw}'` : inspect(raw);
  return text.length > 60 ? `${text.slice(0, 57)}…'` : text;
}
