import { BSONRegExp } from 'bson';
import { ServerError } from '../../bson/server-error.js';
import { compareText } from '../../bson/order.js';
import { docOf, int, isNumeric, type Doc, type Value } from '../../bson/value.js';
import { compileRegex } from '../../query/regex.js';
import { toNumber } from '../../bson/number.js';
import type { Form, Operator } from '../expression.js';
import { isNullish, named, nameOf, operator, strict, textArg, wholeArg, type Arg } from './arguments.js';

/** As the server turns values into text for case and substring operators: null is empty. */
function loose(name: string, value: Arg): string {
  if (isNullish(value)) return '';
  if (typeof value === 'string') return value;
  if (isNumeric(value)) return String(toNumber(value));
  if (value instanceof Date) return value.toISOString();
  throw new ServerError(16007, `can't convert from BSON type ${nameOf(value)} to String in ${name}`);
}

function substringBytes(value: Arg, start: Arg, length: Arg): Value {
  const bytes = Buffer.from(loose('$substrBytes', value));
  const from = wholeArg('$substrBytes', start, 16034);
  const size = wholeArg('$substrBytes', length, 16035);
  if (from < 0) throw new ServerError(50752, '$substrBytes: starting index must be non-negative');
  const end = size < 0 ? bytes.length : Math.min(bytes.length, from + size);
  const splits = [from, end].some((at) => at < bytes.length && ((bytes[at] ?? 0) & 0xc0) === 0x80);
  if (splits)
    throw new ServerError(28656, '$substrBytes: Invalid range, starting or ending index is a UTF-8 continuation byte.');
  return bytes.toString('utf8', from, Math.max(from, end));
}

function substringPoints(value: Arg, start: Arg, length: Arg): Value {
  const from = wholeArg('$substrCP', start, 34450);
  const size = wholeArg('$substrCP', length, 34452);
  if (from < 0 || size < 0) throw new ServerError(34455, '$substrCP: starting index and length must be non-negative');
  return Array.from(loose('$substrCP', value))
    .slice(from, from + size)
    .join('');
}

function indexOf(value: Arg, search: Arg, start: Arg, end: Arg): Value {
  if (isNullish(value)) return null;
  const points = Array.from(textArg('$indexOfCP', value, 40093));
  const wanted = Array.from(textArg('$indexOfCP', search, 40094));
  const from = start === undefined ? 0 : wholeArg('$indexOfCP', start, 40096);
  const to = Math.min(points.length, end === undefined ? points.length : wholeArg('$indexOfCP', end, 40097));
  for (let at = from; at + wanted.length <= to; at += 1)
    if (wanted.every((point, offset) => points[at + offset] === point)) return int(at);
  return int(-1);
}

const trim: Form = (operand, compile, name) => {
  const given = named(name, operand, ['input'], ['chars']);
  const input = compile(given.get('input') ?? null);
  const chars = given.has('chars') ? compile(given.get('chars') ?? null) : null;
  return (doc, variables) => {
    const value = input(doc, variables);
    const set = chars ? chars(doc, variables) : null;
    if (isNullish(value) || (chars && isNullish(set))) return null;
    const drop = new Set(
      Array.from(
        typeof set === 'string'
          ? set
          : '\0 \t\n\v\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a',
      ),
    );
    const points = Array.from(textArg(name, value, 50699));
    let from = 0;
    let to = points.length;
    if (name !== '$rtrim') while (from < to && drop.has(points[from] ?? '')) from += 1;
    if (name !== '$ltrim') while (to > from && drop.has(points[to - 1] ?? '')) to -= 1;
    return points.slice(from, to).join('');
  };
};

const replace: Form = (operand, compile, name) => {
  const given = named(name, operand, ['input', 'find', 'replacement']);
  const parts = ['input', 'find', 'replacement'].map((key) => compile(given.get(key) ?? null));
  return (doc, variables) => {
    const values = parts.map((part) => part(doc, variables));
    if (values.some(isNullish)) return null;
    const [input = '', find = '', replacement = ''] = values.map((value) => textArg(name, value, 51746));
    return name === '$replaceOne' ? input.replace(find, () => replacement) : input.split(find).join(replacement);
  };
};

const regex: Form = (operand, compile, name) => {
  const given = named(name, operand, ['input', 'regex'], ['options']);
  const input = compile(given.get('input') ?? null);
  const pattern = compile(given.get('regex') ?? null);
  const flags = given.has('options') ? compile(given.get('options') ?? null) : null;
  return (doc, variables) => {
    const text = input(doc, variables);
    const source = pattern(doc, variables);
    const none: Value = name === '$regexMatch' ? false : name === '$regexFind' ? null : [];
    if (isNullish(text) || isNullish(source)) return none;
    const options = flags ? (flags(doc, variables) ?? '') : '';
    const compiled =
      source instanceof BSONRegExp
        ? compileRegex(source.pattern, source.options + textArg(name, options, 51106))
        : compileRegex(textArg(name, source, 51105), textArg(name, options, 51106));
    const subject = textArg(name, text, 51104);
    if (name === '$regexMatch') return compiled.test(subject);
    const matches: Doc[] = [];
    for (const match of subject.matchAll(new RegExp(compiled.source, `${compiled.flags}g`))) {
      const captures = match.slice(1).map((capture: string | undefined) => capture ?? null);
      matches.push(docOf({ match: match[0], idx: int(Array.from(subject.slice(0, match.index)).length), captures }));
      if (name === '$regexFind') break;
    }
    return name === '$regexFind' ? (matches[0] ?? null) : matches;
  };
};

export const stringOperators: Readonly<Record<string, Operator>> = {
  $concat: strict(0, Infinity, (...args) => args.map((arg) => textArg('$concat', arg, 16702)).join('')),
  $toLower: operator(1, 1, (value) => loose('$toLower', value).replace(/[A-Z]+/g, (part) => part.toLowerCase())),
  $toUpper: operator(1, 1, (value) => loose('$toUpper', value).replace(/[a-z]+/g, (part) => part.toUpperCase())),
  $strcasecmp: operator(2, 2, (a, b) =>
    int(Math.sign(compareText(loose('$strcasecmp', a).toUpperCase(), loose('$strcasecmp', b).toUpperCase()))),
  ),
  $substr: operator(3, 3, substringBytes),
  $substrBytes: operator(3, 3, substringBytes),
  $substrCP: operator(3, 3, substringPoints),
  $strLenBytes: operator(1, 1, (value) => int(Buffer.byteLength(textArg('$strLenBytes', value)))),
  $strLenCP: operator(1, 1, (value) => int(Array.from(textArg('$strLenCP', value, 34471)).length)),
  $split: strict(2, 2, (value, separator) => {
    const by = textArg('$split', separator, 40086);
    if (by === '') throw new ServerError(40087, '$split requires a non-empty separator');
    return textArg('$split', value, 40085).split(by);
  }),
  $indexOfCP: operator(2, 4, indexOf),
  $indexOfBytes: operator(2, 2, (value, search) =>
    isNullish(value)
      ? null
      : int(Buffer.from(textArg('$indexOfBytes', value, 40091)).indexOf(textArg('$indexOfBytes', search, 40092))),
  ),
};

export const stringForms: Readonly<Record<string, Form>> = {
  $trim: trim,
  $ltrim: trim,
  $rtrim: trim,
  $replaceOne: replace,
  $replaceAll: replace,
  $regexMatch: regex,
  $regexFind: regex,
  $regexFindAll: regex,
};
