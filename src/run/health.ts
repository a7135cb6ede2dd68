import { readFileSync } from 'node:fs';
import type { StatusReport } from '../model/status.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import type { Layout } from '../util/layout.js';

/** The keeper's last look. */
export interface Health {
  /** Unix ms. */
  readonly at: number;
  readonly keeperPid: number;
  readonly report: StatusReport;
}

/** Older looks are not believed, ms. */
export const HEALTH_MAX_AGE_MS = 3000;

export function writeHealth(layout: Layout, health: Health): void {
  writeFileAtomic(layout.healthFile, JSON.stringify(health));
}

/** The keeper's last look when it is fresh enough to believe. */
export function freshHealth(layout: Layout, now: number): Health | null {
  try {
    const health = JSON.parse(readFileSync(layout.healthFile, 'utf8')) as Health;
    const age = now - health.at;
    return age >= 0 && age < HEALTH_MAX_AGE_MS ? health : null;
  } catch {
    return null; // no keeper has looked yet
  }
}
