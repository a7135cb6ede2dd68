/** `2026-01-02 03:04:05.678901+00:00` and its relatives: T or space, point or comma, Z, +00:00, +0000 or no zone (local time). */
const TIMESTAMP = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?\s?(Z|[+-]\d{2}:?\d{2})?$/;

/** The same, at the beginning of a line; the rest is what follows. */
export const LEADING_TIMESTAMP =
  /^\[?(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:\s?(?:Z|[+-]\d{2}:?\d{2}))?)\]?:?(?:\s+|$)/;

/** ISO 8601 UTC with milliseconds of a timestamp text, or of an epoch number in s or ms; undefined when it is neither. */
export function isoTime(value: unknown): string | undefined {
  if (typeof value === 'number') return fromEpoch(value);
  if (typeof value !== 'string') return undefined;
  // The usual case costs no Date: it is what toISOString gives.
  if (value.length === 24 && value.endsWith('Z') && TIMESTAMP.test(value) && !Number.isNaN(Date.parse(value))) {
    return `${value.slice(0, 10)}T${value.slice(11)}`;
  }
  const match = TIMESTAMP.exec(value);
  if (!match) return undefined;
  const [, date, clock, fraction = '0', zone = ''] = match;
  const offset = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
  return fromDate(new Date(`${date}T${clock}.${fraction.padEnd(3, '0').slice(0, 3)}${offset}`));
}

function fromEpoch(value: number): string | undefined {
  // Seconds until the year 5138, milliseconds from 1973 on.
  if (!Number.isFinite(value) || value <= 0) return undefined;
  return fromDate(new Date(value < 1e11 ? value * 1000 : value));
}

function fromDate(date: Date): string | undefined {
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
