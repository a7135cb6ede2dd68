import type { StoredError } from '../../ports/store.js';
import { jsonText } from './json.js';

/** The input does not fit the task: refused before anything is sent. Web frameworks answer 400. */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput';
  readonly code = 'MEMT_INVALID_INPUT';
  readonly statusCode = 400;
  constructor(
    readonly task: string,
    /** One line per problem: `width: expected a number`. */
    readonly issues: readonly string[],
  ) {
    super(`input of ${task} is not valid: ${issues.join('; ')}`);
  }
}

/** Thrown by `result()`: the task ended without a result. `cause` is the error that the handler threw. */
export class TaskFailed extends Error {
  override readonly name = 'TaskFailed';
  readonly code = 'MEMT_TASK_FAILED';
  constructor(
    readonly id: string,
    readonly task: string,
    readonly state: 'FAILURE' | 'DEAD',
    error: StoredError | null,
  ) {
    super(`task ${task} (${id}) ended as ${state}: ${error?.message ?? 'no reason recorded'}`, {
      cause: error ? thrownFrom(error) : undefined,
    });
  }
}

/** Thrown by `result()`: no outcome within the timeout. The task goes on. */
export class ResultTimeout extends Error {
  override readonly name = 'ResultTimeout';
  readonly code = 'MEMT_RESULT_TIMEOUT';
  constructor(
    readonly id: string,
    readonly state: string,
    readonly timeoutMs: number,
  ) {
    super(`no outcome of ${id} within ${timeoutMs} ms, it is ${state}`);
  }
}

/** A handler throws it to fail for good, whatever attempts are left. */
export class Unrecoverable extends Error {
  override readonly name: string = 'Unrecoverable';
}

/** The task ran longer than its `timeLimit`: reason of `ctx.signal` at the soft limit, the attempt's error at the hard one. */
export class TimeLimitExceeded extends Error {
  override readonly name = 'TimeLimitExceeded';
  constructor(
    readonly limit: 'soft' | 'hard',
    readonly limitMs: number,
  ) {
    super(`${limit} time limit of ${limitMs} ms exceeded`);
  }
}

/** Reason of `ctx.signal` when the worker stops: the task goes back to its queue and is run again elsewhere. */
export class WorkerStopping extends Error {
  override readonly name = 'WorkerStopping';
  constructor() {
    super('the worker is stopping');
  }
}

const MAX_TEXT = 16_384;

/** Any thrown value as it is stored. */
export function storedError(thrown: unknown): StoredError {
  if (thrown instanceof Error) {
    return {
      name: textOf(thrown.name).slice(0, 200),
      message: textOf(thrown.message).slice(0, MAX_TEXT),
      stack: thrown.stack === undefined ? null : textOf(thrown.stack).slice(0, MAX_TEXT),
    };
  }
  return { name: 'Error', message: textOf(thrown).slice(0, MAX_TEXT), stack: null };
}

/** Never throws: what is thrown may be anything, and an Error's own fields may have been overwritten. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    return jsonText(value) ?? String(value);
  } catch {
    return `a ${typeof value} that cannot be shown`;
  }
}

function thrownFrom(error: StoredError): Error {
  const thrown = new Error(error.message);
  thrown.name = error.name;
  if (error.stack !== null) thrown.stack = error.stack;
  return thrown;
}
