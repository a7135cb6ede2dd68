const FIRST_DELAY_MS = 250;
const CAP_MS = 15_000;

/**
 * How long to wait before the next try after `crashes` deaths in a row, ms: the first replacement comes at once,
 * then 250, 500, 1000, … up to 15 s.
 */
export function backoffMs(crashes: number): number {
  if (crashes <= 1) return 0;
  return Math.min(CAP_MS, FIRST_DELAY_MS * 2 ** Math.min(crashes - 2, 16));
}
