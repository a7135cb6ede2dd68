const UNIT_MS = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Longest wait that a Node timer can hold, in ms (about 24.8 days). */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * `30s`, `1m30s`, `500ms`, `1.5h`, `2d`, or a bare number of ms, as whole ms.
 * Undefined when it is none of these, negative, or longer than a timer can wait.
 */
export function parseDuration(value: string | number): number | undefined {
  const ms = typeof value === 'number' ? value : parseText(value.trim().toLowerCase());
  return ms !== undefined && Number.isFinite(ms) && ms >= 0 && ms <= MAX_TIMER_MS ? Math.round(ms) : undefined;
}

function parseText(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  if (!/^(\d+(\.\d+)?\s*(ms|s|min|m|h|d)\s*)+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)/g)) {
    total += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  }
  return total;
}

/** For people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const [large, small, names] =
    seconds < 3600
      ? [Math.floor(seconds / 60), seconds % 60, ['min', 's']]
      : seconds < 86_400
        ? [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), ['h', 'min']]
        : [Math.floor(seconds / 86_400), Math.floor((seconds % 86_400) / 3600), ['d', 'h']];
  return small === 0 ? `${large} ${names[0]}` : `${large} ${names[0]} ${small} ${names[1]}`;
}
