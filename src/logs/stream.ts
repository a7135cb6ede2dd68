import type { Level } from '../model/level.js';
import { levelsFrom } from './filter.js';
import { follow, snapshotOf } from './follow.js';
import { formatRecord } from './format.js';
import { findSources } from './source.js';

export interface StreamOptions {
  readonly logDir: string;
  /** Units or instances; empty = all. */
  readonly units: readonly string[];
  /** The lowest level shown; null = all. */
  readonly level: Level | null;
  readonly signal: AbortSignal;
  /** Takes one formatted record: one or more lines, with the newline. */
  readonly write: (text: string) => void;
  readonly color?: boolean;
}

/** Writes what is logged from now on, formatted for people, until the signal is aborted; never rejects because of it. */
export async function streamLogs(options: StreamOptions): Promise<void> {
  const { logDir, units, level, signal, write, color = false } = options;
  const filter = { levels: level === null ? new Set<Level>() : levelsFrom(level) };
  const width = columnWidth([]);
  for await (const batch of follow({ logDir, names: units, filter, signal, from: snapshotOf(findSources(logDir)) })) {
    for (const record of batch) write(`${formatRecord(record, { color, dates: false, width })}\n`);
  }
}

/** Width of the instance column: the longest name, at least what the usual units need, at most 20. */
export function columnWidth(instances: readonly string[]): number {
  return Math.min(20, Math.max(8, ...instances.map((name) => name.length)));
}
