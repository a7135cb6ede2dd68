import { parseDuration } from '../util/duration.js';
import { sleep } from '../util/deadline.js';
import { Unavailable } from '../ports/broker.js';
import type { FinalState, Store, StoredState, TaskRecord } from '../ports/store.js';
import type { Duration } from './core/definition.js';
import { ResultTimeout, TaskFailed } from './core/errors.js';

/** PENDING: enqueued, not started. UNKNOWN: nothing is recorded under this id, and this process did not enqueue it. */
export type TaskState = StoredState | 'PENDING' | 'UNKNOWN';

const FIRST_POLL_MS = 4;
const LAST_POLL_MS = 250;
const DEFAULT_TIMEOUT_MS = 30_000;

/** A task that was enqueued, by its id. */
export class TaskHandle<Result = unknown> {
  constructor(
    readonly id: string,
    private readonly store: () => Store,
    private readonly enqueuedHere: boolean,
  ) {}

  /** @throws StoreUnavailable */
  async state(): Promise<TaskState> {
    return this.#stateOf(await this.store().get(this.id));
  }

  /**
   * The result, once there is one.
   * @param options.timeout default 30 s
   * @throws TaskFailed when it ended without one, ResultTimeout, StoreUnavailable
   */
  async result(options: { readonly timeout?: Duration } = {}): Promise<Result> {
    const timeoutMs = parseDuration(options.timeout ?? DEFAULT_TIMEOUT_MS);
    if (timeoutMs === undefined) throw new TypeError(`timeout is no duration: ${JSON.stringify(options.timeout)}`);
    const end = performance.now() + timeoutMs;
    for (let pause = FIRST_POLL_MS; ; pause = Math.min(LAST_POLL_MS, pause * 1.5)) {
      let state: TaskState = 'UNKNOWN';
      let trouble: Unavailable | null = null;
      try {
        const record = await this.store().get(this.id);
        if (record !== null && isFinal(record)) return outcomeOf(record) as Result;
        state = this.#stateOf(record);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        trouble = error;
      }
      const left = end - performance.now();
      if (left <= 0) throw trouble ?? new ResultTimeout(this.id, state, timeoutMs);
      await sleep(Math.min(pause, left));
    }
  }

  #stateOf(record: TaskRecord | null): TaskState {
    return record?.state ?? (this.enqueuedHere ? 'PENDING' : 'UNKNOWN');
  }
}

function isFinal(record: TaskRecord): record is TaskRecord & { readonly state: FinalState } {
  return record.state === 'SUCCESS' || record.state === 'FAILURE' || record.state === 'DEAD';
}

function outcomeOf(record: TaskRecord & { readonly state: FinalState }): unknown {
  if (record.state !== 'SUCCESS') throw new TaskFailed(record.id, record.task, record.state, record.error);
  return JSON.parse(record.result ?? 'null');
}
