import { parseDuration } from '../../util/duration.js';
import { DEFAULT_RETRY, type RetryPolicy } from './retry.js';
import type { StandardSchema } from './schema.js';
import { NAME_PATTERN } from './topology.js';

/** Ms, or text: `500ms`, `30s`, `5m`, `1h`, `2d`. */
export type Duration = number | string;

export interface TaskOptions<In, Out> {
  /** Any Standard Schema (Zod, Valibot, ArkType, …): checked at enqueue and again before the run, which gets its output. */
  readonly input?: StandardSchema<In, Out>;
  /** Default `default`. */
  readonly queue?: string;
  /** Default: 5 attempts, exponential from 1 s up to 10 m, full jitter. `false`: one attempt. */
  readonly retry?:
    | false
    | {
        readonly maxAttempts?: number;
        readonly backoff?: 'exponential' | 'fixed';
        readonly min?: Duration;
        readonly max?: Duration;
        readonly jitter?: 'full' | 'none';
        /** False: this error is final. */
        readonly when?: (error: unknown) => boolean;
      };
  /** `soft` aborts `ctx.signal`; `hard` ends the attempt as failed. One value is the soft limit, the hard one is 10 s later. */
  readonly timeLimit?: Duration | { readonly soft?: Duration; readonly hard?: Duration };
  /** How long the outcome is kept. Default `1d`. */
  readonly resultTtl?: Duration;
  /** Runs that may be lost (worker killed, out of memory) before the task is declared dead. Default 3. */
  readonly maxCrashes?: number;
}

export interface TaskContext {
  readonly id: string;
  /** From 1. */
  readonly attempt: number;
  /** Aborted at the soft time limit and when the worker stops. */
  readonly signal: AbortSignal;
  readonly log: TaskLogger;
  /** The same for every attempt and every redelivery: hand it to services that deduplicate. */
  readonly idempotencyKey: string;
}

export interface TaskLogger {
  debug(text: string, fields?: { readonly [key: string]: unknown }): void;
  info(text: string, fields?: { readonly [key: string]: unknown }): void;
  warn(text: string, fields?: { readonly [key: string]: unknown }): void;
  error(text: string, fields?: { readonly [key: string]: unknown }): void;
}

export type TaskHandler<Out, Result> = (input: Out, context: TaskContext) => Result | Promise<Result>;

/** A task with its options compiled and checked. */
export interface TaskDefinition {
  readonly name: string;
  readonly queue: string;
  readonly schema: StandardSchema | null;
  readonly retry: RetryPolicy;
  readonly softMs: number | null;
  readonly hardMs: number | null;
  readonly resultTtlMs: number;
  readonly maxCrashes: number;
  readonly handler: TaskHandler<unknown, unknown>;
}

/** Options may come from plain JavaScript: nothing is taken for granted. */
function isSchema(value: unknown): value is StandardSchema {
  const standard = (value as { readonly '~standard'?: { readonly validate?: unknown } } | null)?.['~standard'];
  return typeof standard?.validate === 'function';
}

const HARD_AFTER_SOFT_MS = 10_000;
const DAY_MS = 86_400_000;
const TASK_NAME = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;

/** @throws TypeError that names the task, the option and what it may be. */
export function compileTask(
  name: string,
  options: TaskOptions<never, never>,
  handler: TaskHandler<never, unknown>,
): TaskDefinition {
  const wrong = (what: string): never => {
    throw new TypeError(`task ${JSON.stringify(name)}: ${what}`);
  };
  const ms = (option: string, value: Duration): number =>
    parseDuration(value) ?? wrong(`${option} is no duration: ${JSON.stringify(value)}; write for example '30s'`);
  const count = (option: string, value: number): number =>
    Number.isSafeInteger(value) && value >= 1 ? value : wrong(`${option} must be a whole number from 1, not ${value}`);

  if (typeof name !== 'string' || !TASK_NAME.test(name)) {
    wrong('a name is up to 128 letters, digits and . _ : / - and starts with a letter or digit');
  }
  if (typeof handler !== 'function') wrong('the handler must be a function');
  const queue = options.queue ?? 'default';
  if (!NAME_PATTERN.test(queue)) wrong(`queue ${JSON.stringify(queue)} may hold letters, digits, _ and - only`);
  if (options.input !== undefined && !isSchema(options.input)) {
    wrong('input must be a Standard Schema (Zod, Valibot, ArkType, …)');
  }
  const limits = limitsOf(options.timeLimit, ms);
  if (limits.hardMs !== null && limits.softMs !== null && limits.hardMs < limits.softMs) {
    wrong('the hard time limit is below the soft one');
  }
  return {
    name,
    queue,
    schema: (options.input as StandardSchema | undefined) ?? null,
    retry: retryOf(options.retry, ms, count),
    ...limits,
    resultTtlMs: options.resultTtl === undefined ? DAY_MS : ms('resultTtl', options.resultTtl),
    maxCrashes: options.maxCrashes === undefined ? 3 : count('maxCrashes', options.maxCrashes),
    handler: handler as TaskHandler<unknown, unknown>,
  };
}

type ToMs = (option: string, value: Duration) => number;

function limitsOf(
  limit: TaskOptions<never, never>['timeLimit'],
  ms: ToMs,
): { readonly softMs: number | null; readonly hardMs: number | null } {
  if (limit === undefined) return { softMs: null, hardMs: null };
  if (typeof limit !== 'object') {
    const softMs = ms('timeLimit', limit);
    return { softMs, hardMs: softMs + HARD_AFTER_SOFT_MS };
  }
  return {
    softMs: limit.soft === undefined ? null : ms('timeLimit.soft', limit.soft),
    hardMs: limit.hard === undefined ? null : ms('timeLimit.hard', limit.hard),
  };
}

function retryOf(
  retry: TaskOptions<never, never>['retry'],
  ms: ToMs,
  count: (option: string, value: number) => number,
): RetryPolicy {
  if (retry === false) return { ...DEFAULT_RETRY, maxAttempts: 1 };
  const minMs = retry?.min === undefined ? DEFAULT_RETRY.minMs : ms('retry.min', retry.min);
  return {
    maxAttempts: count('retry.maxAttempts', retry?.maxAttempts ?? DEFAULT_RETRY.maxAttempts),
    backoff: retry?.backoff ?? DEFAULT_RETRY.backoff,
    minMs,
    maxMs: Math.max(minMs, retry?.max === undefined ? DEFAULT_RETRY.maxMs : ms('retry.max', retry.max)),
    jitter: retry?.jitter ?? DEFAULT_RETRY.jitter,
    when: retry?.when ?? DEFAULT_RETRY.when,
  };
}
