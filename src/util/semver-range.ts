type Version = readonly [number, number, number];

/**
 * Whether a release version lies in a range as package.json writes them: `>=20.19`, `^20.19 || >=22`, `20.x`, `18 - 22`, `~20.1`,
 * `*`. Undefined for a range that cannot be read. Prerelease tags are not compared.
 */
export function inRange(version: string, range: string): boolean | undefined {
  const have = parse(version);
  if (!have) return undefined;
  const alternatives = range.split('||').map((part) => comparators(part.trim()));
  if (alternatives.includes(undefined)) return undefined;
  return alternatives.some((all) => all?.every(({ min, max }) => compare(have, min) >= 0 && compare(have, max) < 0));
}

/** A half-open interval: `min <= version < max`. */
interface Interval {
  readonly min: Version;
  readonly max: Version;
}
const ZERO: Version = [0, 0, 0];
const END: Version = [Infinity, 0, 0];

function comparators(text: string): Interval[] | undefined {
  const hyphen = /^(\S+)\s+-\s+(\S+)$/.exec(text);
  if (hyphen) return comparators(`>=${hyphen[1] ?? ''} <=${hyphen[2] ?? ''}`);
  const words = text
    .replace(/([<>=~^]+)\s+/g, '$1')
    .split(/\s+/)
    .filter(Boolean);
  const intervals = words.map(interval);
  return intervals.includes(undefined) ? undefined : (intervals as Interval[]);
}

function interval(word: string): Interval | undefined {
  const match = /^(>=|<=|>|<|=|~>?|\^)?v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][\w.+-]*)?$/.exec(word);
  if (!match) return undefined;
  const parts = match
    .slice(2, 5)
    .map((part: string | undefined) => (part === undefined || /[xX*]/.test(part) ? undefined : Number(part)));
  const [major, minor, patch] = parts;
  if (major === undefined) return { min: ZERO, max: END };
  const min: Version = [major, minor ?? 0, patch ?? 0];
  // The first version beyond what the written digits cover: 20 -> 21.0.0, 20.1 -> 20.2.0, 20.1.3 -> 20.1.4.
  const beyond: Version =
    minor === undefined ? [major + 1, 0, 0] : patch === undefined ? [major, minor + 1, 0] : [major, minor, patch + 1];
  switch (match[1] ?? '') {
    case '>=':
      return { min, max: END };
    case '>':
      return { min: beyond, max: END };
    case '<':
      return { min: ZERO, max: min };
    case '<=':
      return { min: ZERO, max: beyond };
    case '^':
      return {
        min,
        max:
          major > 0 || minor === undefined
            ? [major + 1, 0, 0]
            : minor > 0 || patch === undefined
              ? [0, minor + 1, 0]
              : [0, 0, patch + 1],
      };
    case '~':
    case '~>':
      return { min, max: minor === undefined ? [major + 1, 0, 0] : [major, minor + 1, 0] };
    default:
      return { min, max: beyond };
  }
}

function parse(version: string): Version | undefined {
  const match = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : undefined;
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
