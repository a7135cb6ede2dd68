import type { LogRecord } from '../model/record.js';
import { sleep } from '../util/deadline.js';
import { passes, type Filter } from './filter.js';
import { followFile, type FileFollower } from './follow-file.js';
import { openLog } from './open-file.js';
import type { Snapshot } from './read.js';
import { findSources, isSelected, type LogSource } from './source.js';

export interface FollowOptions {
  readonly logDir: string;
  /** Units or instances; empty = all, those that appear later included. */
  readonly names: readonly string[];
  readonly filter: Filter;
  readonly signal: AbortSignal;
  /** Where each current file is taken up; files not named are read from their start. */
  readonly from: Snapshot;
  /** Time between two looks, ms. Default 150. */
  readonly everyMs?: number;
}

/** New matching records, in order of time within one look, until the signal is aborted (then it ends without an error). */
export async function* follow(options: FollowOptions): AsyncGenerator<readonly LogRecord[]> {
  const { logDir, names, filter, signal, from, everyMs = 150 } = options;
  const followers = new Map<string, FileFollower>();
  try {
    while (!signal.aborted) {
      const batch: LogRecord[] = [];
      for (const source of findSources(logDir)) {
        if (!isSelected(source, names)) continue;
        let follower = followers.get(source.path);
        if (!follower) followers.set(source.path, (follower = followFile(source, from.get(source.path) ?? 0)));
        for (const record of follower.look(source)) if (passes(filter, record)) batch.push(record);
      }
      batch.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
      if (batch.length > 0) yield batch;
      try {
        await sleep(everyMs, signal);
      } catch {
        return; // aborted
      }
    }
  } finally {
    for (const follower of followers.values()) follower.close();
  }
}

/** Where the last whole line of each current file ends now. */
export function snapshotOf(sources: readonly LogSource[]): Snapshot {
  const ends = new Map<string, number>();
  for (const { path } of sources) {
    const file = openLog(path);
    if (!file) continue;
    try {
      const tailAt = Math.max(0, file.size - 256 * 1024);
      const newline = file.read(tailAt, file.size).lastIndexOf(10);
      ends.set(path, newline === -1 ? (tailAt === 0 ? 0 : file.size) : tailAt + newline + 1);
    } finally {
      file.close();
    }
  }
  return ends;
}
