import { LEVELS, type Level } from '../model/level.js';

/** Where the level stands in a line of ours: `{"time":"2026-01-02T03:04:05.678Z","level":"error","unit":…`. */
const TIME_AT = 9;
const ZULU_AT = 32;
const ZULU = 90;
const LEVEL_AT = 44;
const NEWLINE = 10;
/** Up to this many levels are searched for one by one; more are read line by line. */
const MAX_NEEDLES = 3;

const NEEDLES: Readonly<Record<Level, Buffer>> = Object.fromEntries(
  LEVELS.map((level) => [level, Buffer.from(`Z","level":"${level}","unit":"`)]),
) as Record<Level, Buffer>;
const BY_LETTER = new Map(LEVELS.map((level) => [level.charCodeAt(0), level]));

/** The levels' lines in a block of our own NDJSON, in order, found without parsing; undefined when every line has to be read. */
export function linesWithLevels(block: Buffer, levels: ReadonlySet<Level>): string[] | undefined {
  if (levels.size === 0 || levels.size > MAX_NEEDLES || levels.has('info')) return undefined;
  const starts: number[] = [];
  for (const level of levels) {
    const needle = NEEDLES[level];
    for (let at = block.indexOf(needle); at !== -1; at = block.indexOf(needle, at + needle.length)) {
      const start = at - ZULU_AT;
      // Elsewhere in a line the same bytes are somebody's field.
      if (start === 0 || block[start - 1] === NEWLINE) starts.push(start);
    }
  }
  if (levels.size > 1) starts.sort((a, b) => a - b);
  return starts.map((start) => {
    const end = block.indexOf(NEWLINE, start);
    return block.toString('utf8', start, end === -1 ? block.length : end);
  });
}

/** Both ends inclusive, ISO UTC with milliseconds: compared as text. */
export interface IsoWindow {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** Adds the block's records within the window to `counts`; lines that are not ours go to `other`. */
export function countLevels(block: Buffer, counts: Record<Level, number>, window: IsoWindow, other: () => void): void {
  const { since, until } = window;
  const isTimed = since !== undefined || until !== undefined;
  for (let start = 0; start < block.length;) {
    const newline = block.indexOf(NEWLINE, start);
    const end = newline === -1 ? block.length : newline;
    const level =
      end - start > LEVEL_AT && block[start + ZULU_AT] === ZULU
        ? BY_LETTER.get(block[start + LEVEL_AT] ?? 0)
        : undefined;
    if (level === undefined) {
      if (end > start) other();
    } else {
      const time = isTimed ? block.toString('latin1', start + TIME_AT, start + ZULU_AT + 1) : '';
      if (!isTimed || ((since === undefined || time >= since) && (until === undefined || time <= until)))
        counts[level] += 1;
    }
    start = end + 1;
  }
}
