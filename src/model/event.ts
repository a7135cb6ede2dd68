import type { Failure } from './failure.js';
import type { EngineMode } from './unit.js';

/**
 * What a run tells its audience, as data; renderers make a terminal view, plain lines or NDJSON of it.
 * `at` is unix ms and is added by the emitter.
 */
export type RunEvent =
  /** The units of this run, in the order in which they are proven and printed. */
  | { readonly type: 'plan'; readonly units: readonly string[] }
  | { readonly type: 'header'; readonly text: string }
  | { readonly type: 'step-start'; readonly unit: string; readonly text: string }
  /** What is being waited for right now. */
  | { readonly type: 'step-progress'; readonly unit: string; readonly text: string }
  | {
      readonly type: 'step-done';
      readonly unit: string;
      readonly text: string;
      readonly address: string | null;
      readonly engine: EngineMode | null;
      readonly durationMs: number;
      /** False when the unit was already as wanted. */
      readonly changed: boolean;
    }
  | { readonly type: 'step-failed'; readonly unit: string; readonly failure: Failure }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'warning'; readonly text: string }
  | { readonly type: 'rollback'; readonly units: readonly string[] }
  | { readonly type: 'failed'; readonly failure: Failure; readonly rolledBack: readonly string[] }
  | {
      readonly type: 'done';
      readonly verb: 'up' | 'down';
      readonly state: string;
      readonly durationMs: number;
      readonly urls: readonly { readonly label: string; readonly url: string }[];
    };
