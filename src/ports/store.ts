import { Unavailable } from './broker.js';

export const TASK_STATES = ['STARTED', 'RETRY', 'SUCCESS', 'FAILURE', 'DEAD'] as const;
/** What the store knows of a task. Nothing is recorded before the first attempt starts. */
export type StoredState = (typeof TASK_STATES)[number];
/** The states that never change again: the outcome. */
export type FinalState = 'SUCCESS' | 'FAILURE' | 'DEAD';

export interface StoredError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | null;
}

/** The record of one task, by its id. */
export interface TaskRecord {
  readonly id: string;
  readonly task: string;
  readonly state: StoredState;
  /** The attempt that reached this state, from 1. */
  readonly attempt: number;
  /** How often a run began. */
  readonly starts: number;
  /** How many runs ended in an orderly way without an outcome: retried, or handed back. `starts - ends - 1` runs were lost. */
  readonly ends: number;
  /** JSON text; null until SUCCESS. */
  readonly result: string | null;
  readonly error: StoredError | null;
  /** Unix ms. */
  readonly startedAt: number;
  readonly finishedAt: number | null;
  /** RETRY: when the next attempt is due, unix ms. */
  readonly dueAt: number | null;
  /** Host and pid of the worker that ran it last. */
  readonly worker: string;
}

export type Begin =
  /** Run it. `crashes`: earlier runs of this task that never ended. */
  | { readonly kind: 'run'; readonly crashes: number }
  /** It has its outcome: do not run it again. */
  | { readonly kind: 'settled'; readonly state: FinalState }
  /** This attempt has failed and been recorded; only its republishing may be missing. */
  | { readonly kind: 'retried'; readonly dueAt: number }
  /** A later attempt has begun. */
  | { readonly kind: 'stale' };

export interface Outcome {
  readonly state: FinalState;
  readonly result: string | null;
  readonly error: StoredError | null;
  /** How long the record is kept, ms. */
  readonly ttlMs: number;
}

/** Every method throws StoreUnavailable when the store does not answer in time. */
export interface Store {
  begin(run: {
    readonly id: string;
    readonly task: string;
    readonly attempt: number;
    readonly worker: string;
  }): Promise<Begin>;
  /** Records a failed attempt that will be tried again. False: the task has an outcome or a later attempt. */
  retry(id: string, attempt: number, error: StoredError, dueAt: number): Promise<boolean>;
  /** Compare-and-set: records the outcome unless there is one, or a later attempt has begun. False: refused. */
  finish(
    run: { readonly id: string; readonly task: string; readonly attempt: number; readonly worker: string },
    outcome: Outcome,
  ): Promise<boolean>;
  /** These runs ended without an outcome in an orderly way: they must not count as crashes. */
  release(ids: readonly string[]): Promise<void>;
  get(id: string): Promise<TaskRecord | null>;
  close(): Promise<void>;
}

/** No answer from the store in time. */
export class StoreUnavailable extends Unavailable {
  override readonly name = 'StoreUnavailable';
  readonly code = 'MEMT_STORE_UNAVAILABLE';
}

/**
 * Whether attempt `attempt` may begin, by what is recorded; null when it may. The one place that decides, for every store:
 *
 *     (none) -> STARTED -> SUCCESS | FAILURE | DEAD      final
 *                  ^  \-> RETRY -> STARTED (next attempt)
 */
export function refusal(record: Pick<TaskRecord, 'state' | 'attempt' | 'dueAt'>, attempt: number): Begin | null {
  switch (record.state) {
    case 'SUCCESS':
    case 'FAILURE':
    case 'DEAD':
      return { kind: 'settled', state: record.state };
    case 'RETRY':
      if (record.attempt === attempt) return { kind: 'retried', dueAt: record.dueAt ?? 0 };
      return record.attempt > attempt ? { kind: 'stale' } : null;
    case 'STARTED':
      return record.attempt > attempt ? { kind: 'stale' } : null;
  }
}
