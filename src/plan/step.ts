import type { Failure } from '../model/failure.js';
import type { EngineMode, UnitKind } from '../model/unit.js';

/** What `up` does for one unit, and why. */
export interface Step {
  readonly unit: string;
  readonly kind: UnitKind;
  /** start: not running; restart: runs with other settings; keep: as wanted; use: somebody else's engine; fail: cannot be. */
  readonly action: 'start' | 'restart' | 'keep' | 'use' | 'fail';
  readonly engine: EngineMode | null;
  readonly reason: string;
  /** host:port, null when it listens nowhere. */
  readonly address: string | null;
  readonly version: string | null;
  /** The program that is or would be spawned. */
  readonly program: string | null;
  /** Units of this plan that must be healthy before it imports its application or is used. */
  readonly dependsOn: readonly string[];
  /** Processes to fork: `worker.0`, `worker.1`; one for everything else. */
  readonly instances: readonly string[];
  /** Set when action is `fail`. */
  readonly failure: Failure | null;
}

export interface UpPlan {
  /** In the listed order, which is also the order of proof and of print. */
  readonly steps: readonly Step[];
}
