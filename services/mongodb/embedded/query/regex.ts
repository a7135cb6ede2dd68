import { BSONRegExp } from 'bson';
import { ServerError } from '../bson/server-error.js';
import type { Value } from '../bson/value.js';

const cache = new Map<string, RegExp>();

/** JavaScript's form of a PCRE pattern; what JavaScript cannot express is refused. */
export function compileRegex(pattern: string, options: string): RegExp {
  const key = `${options}/${pattern}`;
  const known = cache.get(key);
  if (known) return known;
  for (const option of options) {
    if (!'imsxu'.includes(option)) throw new ServerError(51108, `invalid flag in regex options: ${option}`);
  }
  let source = options.includes('x') ? stripExtended(pattern) : pattern;
  let flags = options.replace(/[xu]/g, '');
  const inline = /^\(\?([ims]+)\)/.exec(source);
  if (inline) {
    source = source.slice(inline[0].length);
    for (const flag of inline[1] ?? '') if (!flags.includes(flag)) flags += flag;
  }
  source = source.replace(/^\\A/, '^').replace(/\\[zZ]$/, '$');
  try {
    const regex = new RegExp(source, `${[...new Set(flags)].join('')}u`);
    return remember(key, regex);
  } catch {
    // Unicode mode rejects harmless escapes (`\-`, `\_`) that PCRE accepts.
  }
  try {
    return remember(key, new RegExp(source, [...new Set(flags)].join('')));
  } catch (error) {
    throw new ServerError(51091, `Regular expression is invalid: ${(error as Error).message}`);
  }
}

function remember(key: string, regex: RegExp): RegExp {
  if (cache.size >= 500) cache.clear();
  cache.set(key, regex);
  return regex;
}

function stripExtended(pattern: string): string {
  return pattern.replace(/\\.|\[(?:\\.|[^\]])*\]|\s+|#[^\n]*/g, (part) => (/^[\s#]/.test(part) ? '' : part));
}

export function regexOf(value: BSONRegExp): RegExp {
  return compileRegex(value.pattern, value.options);
}

/** A test of one value: strings by match, regular expressions by equality. */
export function regexTest(regex: BSONRegExp): (value: Value | undefined) => boolean {
  const compiled = regexOf(regex);
  return (value) =>
    typeof value === 'string'
      ? compiled.test(value)
      : value instanceof BSONRegExp && value.pattern === regex.pattern && value.options === regex.options;
}
