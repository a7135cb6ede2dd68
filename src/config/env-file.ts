import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { asError, codeOf } from '../util/errors.js';

export interface EnvFile {
  readonly variables: Readonly<Record<string, string>>;
  /** `.env:3: …`; never shows a value. */
  readonly problems: readonly string[];
}

/**
 * Reads a .env file; a missing one (or a folder of that name, as Python's virtualenv makes) is empty.
 */
export function readEnvFile(file: string): EnvFile {
  try {
    return parseEnv(readFileSync(file, 'utf8'), basename(file));
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'EISDIR' || code === 'ENOTDIR') return { variables: {}, problems: [] };
    return { variables: {}, problems: [`${basename(file)}: cannot be read: ${asError(error).message}`] };
  }
}

/**
 * `NAME=value` lines: `export` before them and blanks around `=` are allowed; `#` begins a comment at a line's start or after a
 * blank. Values in 'single', `back` or "double" quotes may span lines; only double quotes know \n \r \t \" \\ \$. Nothing is
 * expanded: `$HOME` stays `$HOME`. The last of several equal names wins.
 */
export function parseEnv(text: string, name = '.env'): EnvFile {
  const variables: Record<string, string> = {};
  const problems: string[] = [];
  const source = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  const lineAt = (index: number): number => source.slice(0, index).split('\n').length;
  let at = 0;
  while (at < source.length) {
    const end = lineEnd(source, at);
    const line = source.slice(at, end);
    if (/^\s*(#|$)/.test(line)) {
      at = end + 1;
      continue;
    }
    const head = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=[^\S\n]*/.exec(line);
    if (!head?.[1]) {
      problems.push(`${name}:${lineAt(at)}: expected NAME=value`);
      at = end + 1;
      continue;
    }
    const value = readValue(source, at + head[0].length);
    if ('problem' in value) problems.push(`${name}:${lineAt(at)}: ${head[1]}: ${value.problem}`);
    else variables[head[1]] = value.value;
    at = value.next;
  }
  return { variables, problems };
}

type ReadValue = { readonly next: number } & ({ readonly value: string } | { readonly problem: string });

function readValue(source: string, start: number): ReadValue {
  const quote = source[start];
  if (quote !== '"' && quote !== "'" && quote !== '`') {
    const end = lineEnd(source, start);
    return {
      value: source
        .slice(start, end)
        .replace(/(^|\s)#.*$/, '')
        .trim(),
      next: end + 1,
    };
  }
  const close = closingQuote(source, start + 1, quote);
  if (close < 0) return { problem: `the ${quote} is never closed`, next: lineEnd(source, start) + 1 };
  const end = lineEnd(source, close);
  if (!/^\s*(#.*)?$/.test(source.slice(close + 1, end)))
    return { problem: `text after the closing ${quote}`, next: end + 1 };
  const inner = source.slice(start + 1, close);
  return { value: quote === '"' ? unescape(inner) : inner, next: end + 1 };
}

function closingQuote(source: string, start: number, quote: string): number {
  for (let at = start; at < source.length; at += 1) {
    if (quote === '"' && source[at] === '\\') at += 1;
    else if (source[at] === quote) return at;
  }
  return -1;
}

function unescape(text: string): string {
  const known: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', $: '$' };
  return text.replace(/\\([\s\S])/g, (whole, letter: string) => known[letter] ?? whole);
}

function lineEnd(source: string, from: number): number {
  const end = source.indexOf('\n', from);
  return end < 0 ? source.length : end;
}
