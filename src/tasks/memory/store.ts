import { refusal, type Begin, type Outcome, type Store, type StoredError, type TaskRecord } from '../../ports/store.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A store that lives and dies with its process: for tests. Same semantics as the real one, records never expire. */
export class MemoryStore implements Store {
  readonly #records = new Map<string, Mutable<TaskRecord>>();

  begin(run: { id: string; task: string; attempt: number; worker: string }): Promise<Begin> {
    const record = this.#records.get(run.id);
    if (record === undefined) {
      this.#records.set(run.id, fresh(run));
      return Promise.resolve({ kind: 'run', crashes: 0 });
    }
    const refused = refusal(record, run.attempt);
    if (refused) return Promise.resolve(refused);
    Object.assign(record, { state: 'STARTED', attempt: run.attempt, worker: run.worker, startedAt: Date.now() });
    record.starts += 1;
    return Promise.resolve({ kind: 'run', crashes: Math.max(0, record.starts - 1 - record.ends) });
  }

  retry(id: string, attempt: number, error: StoredError, dueAt: number): Promise<boolean> {
    const record = this.#records.get(id);
    if (record?.attempt !== attempt || isFinal(record)) return Promise.resolve(false);
    if (record.state === 'RETRY') return Promise.resolve(true);
    Object.assign(record, { state: 'RETRY', error, dueAt });
    record.ends += 1;
    return Promise.resolve(true);
  }

  finish(run: { id: string; task: string; attempt: number; worker: string }, outcome: Outcome): Promise<boolean> {
    const record = this.#records.get(run.id) ?? fresh(run);
    if (isFinal(record) || record.attempt > run.attempt) return Promise.resolve(false);
    const { state, result, error } = outcome;
    this.#records.set(
      run.id,
      Object.assign(record, { state, result, error, attempt: run.attempt, finishedAt: Date.now() }),
    );
    return Promise.resolve(true);
  }

  release(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const record = this.#records.get(id);
      if (record?.state === 'STARTED') record.ends += 1;
    }
    return Promise.resolve();
  }

  get(id: string): Promise<TaskRecord | null> {
    const record = this.#records.get(id);
    return Promise.resolve(record ? { ...record } : null);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function fresh(run: { id: string; task: string; attempt: number; worker: string }): Mutable<TaskRecord> {
  return {
    ...run,
    state: 'STARTED',
    starts: 1,
    ends: 0,
    result: null,
    error: null,
    startedAt: Date.now(),
    finishedAt: null,
    dueAt: null,
  };
}

function isFinal(record: TaskRecord): boolean {
  return record.state === 'SUCCESS' || record.state === 'FAILURE' || record.state === 'DEAD';
}
