import type { Failure } from './failure.js';
import type { Json } from './record.js';
import type { EngineMode, InstanceState, StackState, UnitState } from './unit.js';

/** `memt status --json`. A contract: fields may be added, never changed. */
export interface StatusReport {
  readonly schema: 1;
  readonly version: string;
  readonly project: string;
  readonly environment: string;
  readonly state: StackState;
  readonly supervisor: { readonly keeper: 'running' | 'dead'; readonly pm2: 'running' | 'dead' };
  readonly workers: { readonly cpus: number; readonly source: string; readonly wanted: number };
  readonly units: readonly UnitStatus[];
}

export interface UnitStatus {
  readonly name: string;
  readonly state: UnitState;
  /** Why, when not healthy; for a starting unit also how long it has taken. */
  readonly reason: string | null;
  readonly engine: EngineMode | null;
  readonly version: string | null;
  /** Credentials redacted. */
  readonly url: string | null;
  readonly ports: readonly number[];
  readonly instances: readonly InstanceStatus[];
}

export interface InstanceStatus {
  readonly id: string;
  readonly pid: number | null;
  readonly state: InstanceState;
  readonly uptimeMs: number;
  readonly restarts: number;
  readonly memoryBytes: number;
}

/** What a process forked by memt answers to `status` on its control socket. */
export interface ChildStatus {
  readonly state: InstanceState;
  /** Why, when not healthy. */
  readonly reason: string | null;
  /** Set when the process cannot become healthy without a change from outside. */
  readonly failure: Failure | null;
  /** True while it waits for the gate: warmed, application not imported. */
  readonly waiting: boolean;
  /** Ports it listens on. */
  readonly ports: readonly number[];
  /** The processes below it (the web instances); empty for a process that is itself the instance. */
  readonly instances: readonly ChildInstance[];
  /** Free facts for display: `consuming`, `requests`, `running`, … */
  readonly facts: { readonly [key: string]: Json };
}

export interface ChildInstance {
  readonly id: string;
  readonly pid: number | null;
  readonly state: InstanceState;
  /** Unix ms. */
  readonly startedAt: number;
  readonly restarts: number;
}
