import { formatWithOptions } from 'node:util';
import type { Level } from '../model/level.js';
import { stripAnsi } from './parse/ansi.js';
import { parseJsonLine } from './parse/json-line.js';
import type { Fields, Parsed } from './parse/parsed.js';
import { parseTextBlock } from './parse/text-block.js';
import { stackOf, summaryOf } from './stack-of.js';
import { redactText, toJson } from './to-json.js';

/** Node itself reports warnings through console.error: they are warnings all the same. */
const NODE_WARNING = /^\(node:\d+\) (?:\[\w+\] )?\w*Warning: /;

/** The record of one console call. Never throws, whatever the arguments do when they are looked at. */
export function consoleRecord(level: Level, args: readonly unknown[]): Parsed {
  const errors = args.filter((arg): arg is Error => arg instanceof Error);
  const text = stripAnsi(
    redactText(format(errors.length > 0 ? args.map((arg) => (arg instanceof Error ? summaryOf(arg) : arg)) : args)),
  );
  if (errors.length > 0) {
    const stack = errors.map((error) => stackOf(error) ?? '').join('\n');
    const details = errors.flatMap((error) => detailsOf(error));
    return { level, text, ...(details[0] ? { fields: { err: details[0] } } : {}), ...(stack === '' ? {} : { stack }) };
  }
  const only = args.length === 1 && typeof args[0] === 'string';
  if (only && text.startsWith('{')) {
    const logged = parseJsonLine(text);
    if (logged) return logged;
  }
  if (NODE_WARNING.test(text)) return { level: 'warn', text };
  if (text.includes('\n')) {
    const { stack, text: first } = parseTextBlock(text, 'stderr');
    if (stack !== undefined) return { level, text: first, stack };
  }
  return { level, text };
}

function format(args: readonly unknown[]): string {
  try {
    return formatWithOptions({ depth: 4, breakLength: 160, maxStringLength: 10_000 }, ...args);
  } catch {
    return args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(toJson(arg)))).join(' ');
  }
}

/** What an error says beyond its message and stack (`code`, `errno`, …). */
export function detailsOf(error: Error): Fields[] {
  const details = toJson(error);
  if (typeof details !== 'object' || details === null || Array.isArray(details)) return [];
  const {
    message: _message,
    name: _name,
    cause: _cause,
    ...rest
  } = details as { readonly [key: string]: Fields[string] };
  return Object.keys(rest).length > 0 ? [rest] : [];
}
