import { ObjectId, Timestamp } from 'bson';
import { notImplemented, ServerError } from '../../bson/server-error.js';
import { int, isDoc, type Value } from '../../bson/value.js';
import type { Expression, Form } from '../expression.js';
import { isNullish, named, nameOf, textArg, wholeArg, type Arg } from './arguments.js';

function dateArg(name: string, value: Arg): Date {
  if (value instanceof Date) return value;
  if (value instanceof ObjectId) return value.getTimestamp();
  if (value instanceof Timestamp) return new Date(value.t * 1000);
  throw new ServerError(16006, `can't convert from BSON type ${nameOf(value)} to Date in ${name}`);
}

/** The date moved so that its UTC fields read as local time in `zone`. */
function shifted(date: Date, zone: Arg): Date {
  if (isNullish(zone) || zone === 'UTC' || zone === 'GMT' || zone === 'Z') return date;
  const text = textArg('timezone', zone, 40517);
  const offset = /^([+-])(\d\d):?(\d\d)?$/.exec(text);
  if (offset) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3] ?? 0);
    return new Date(date.getTime() + (offset[1] === '-' ? -minutes : minutes) * 60_000);
  }
  try {
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone: text,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    }).formatToParts(date);
    const part = (type: string) => Number(parts.find((item) => item.type === type)?.value ?? 0);
    const local = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
    return new Date(local + date.getUTCMilliseconds());
  } catch {
    throw new ServerError(40485, `unrecognized time zone identifier: "${text}"`);
  }
}

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;
}

const FIELDS: Readonly<Record<string, (date: Date) => number>> = {
  $year: (date) => date.getUTCFullYear(),
  $month: (date) => date.getUTCMonth() + 1,
  $dayOfMonth: (date) => date.getUTCDate(),
  $hour: (date) => date.getUTCHours(),
  $minute: (date) => date.getUTCMinutes(),
  $second: (date) => date.getUTCSeconds(),
  $millisecond: (date) => date.getUTCMilliseconds(),
  $dayOfWeek: (date) => date.getUTCDay() + 1,
  $dayOfYear: dayOfYear,
};

const field: Form = (operand, compile, name) => {
  const read = FIELDS[name] ?? dayOfYear;
  const long = isDoc(operand) && operand.has('date');
  const given = long ? named(name, operand, ['date'], ['timezone']) : null;
  const single: Value = Array.isArray(operand) && operand.length === 1 ? (operand[0] ?? null) : operand;
  const date = compile(given ? (given.get('date') ?? null) : single);
  const zone = given?.has('timezone') === true ? compile(given.get('timezone') ?? null) : null;
  return (doc, variables) => {
    const value = date(doc, variables);
    if (isNullish(value)) return null;
    return int(read(shifted(dateArg(name, value), zone?.(doc, variables))));
  };
};

const PRINT: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getUTCFullYear()).padStart(4, '0'),
  m: (date) => String(date.getUTCMonth() + 1).padStart(2, '0'),
  d: (date) => String(date.getUTCDate()).padStart(2, '0'),
  H: (date) => String(date.getUTCHours()).padStart(2, '0'),
  M: (date) => String(date.getUTCMinutes()).padStart(2, '0'),
  S: (date) => String(date.getUTCSeconds()).padStart(2, '0'),
  L: (date) => String(date.getUTCMilliseconds()).padStart(3, '0'),
  j: (date) => String(dayOfYear(date)).padStart(3, '0'),
  w: (date) => String(date.getUTCDay() + 1),
  u: (date) => String(date.getUTCDay() || 7),
  '%': () => '%',
};

const toText: Form = (operand, compile, name) => {
  const given = named(name, operand, ['date'], ['format', 'timezone', 'onNull']);
  const part = (key: string): Expression | null => (given.has(key) ? compile(given.get(key) ?? null) : null);
  const [date, format, zone, onNull] = [part('date'), part('format'), part('timezone'), part('onNull')];
  return (doc, variables) => {
    const value = date?.(doc, variables);
    if (isNullish(value)) return onNull ? onNull(doc, variables) : null;
    const timezone = zone?.(doc, variables);
    const local = shifted(dateArg(name, value), timezone);
    const pattern =
      format?.(doc, variables) ?? (isNullish(timezone) ? '%Y-%m-%dT%H:%M:%S.%LZ' : '%Y-%m-%dT%H:%M:%S.%L');
    return textArg(name, pattern, 18533).replace(/%(.?)/g, (_all, letter: string) => {
      const print = PRINT[letter];
      if (print) return print(local);
      if ('GVUzZbB'.includes(letter) && letter !== '')
        throw notImplemented(`The format specifier %${letter} of ${name}`);
      throw new ServerError(18536, `Invalid format character '%${letter}' in format string`);
    });
  };
};

const UNIT_MS: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
};

const shift: Form = (operand, compile, name) => {
  const given = named(name, operand, ['startDate', 'unit', 'amount']);
  const parts = ['startDate', 'unit', 'amount'].map((key) => compile(given.get(key) ?? null));
  return (doc, variables) => {
    const [start, unit, amount] = parts.map((part) => part(doc, variables));
    if (isNullish(start) || isNullish(unit) || isNullish(amount)) return null;
    const date = dateArg(name, start);
    const steps = wholeArg(name, amount, 5166405) * (name === '$dateSubtract' ? -1 : 1);
    const unitName = textArg(name, unit, 5166403);
    const ms = UNIT_MS[unitName];
    if (ms !== undefined) return new Date(date.getTime() + steps * ms);
    const months = { month: 1, quarter: 3, year: 12 }[unitName];
    if (months === undefined) throw new ServerError(9, `unknown time unit value: ${unitName}`);
    return addMonths(date, steps * months);
  };
};

function addMonths(date: Date, months: number): Date {
  const moved = new Date(date);
  moved.setUTCDate(1);
  moved.setUTCMonth(moved.getUTCMonth() + months);
  const last = new Date(Date.UTC(moved.getUTCFullYear(), moved.getUTCMonth() + 1, 0)).getUTCDate();
  moved.setUTCDate(Math.min(date.getUTCDate(), last));
  return moved;
}

export const dateForms: Readonly<Record<string, Form>> = {
  ...Object.fromEntries(Object.keys(FIELDS).map((name) => [name, field])),
  $dateToString: toText,
  $dateAdd: shift,
  $dateSubtract: shift,
};
