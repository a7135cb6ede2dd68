import type { Failure } from '../model/failure.js';
import type { EngineMode } from '../model/unit.js';

/** What was seen of one engine before planning. Plain data, so that the plan stays pure. */
export interface EngineView {
  /** Our own living process of this unit, from the journal. */
  readonly own: { readonly pid: number; readonly engine: EngineMode; readonly settingsDigest: string } | null;
  readonly probe: EngineProbeView;
  /** Who holds its port: a sentence fragment such as `node (pid 4711, user ana, server.js)`. */
  readonly holder: string | null;
  /** The real server, when found. */
  readonly binary: { readonly path: string; readonly version: string | null } | null;
  /** Why the configured program cannot be used. */
  readonly binaryFailure: Failure | null;
  /** Why its data directory cannot be used. */
  readonly dataFailure: Failure | null;
  /** Other ports that it will need and somebody holds (management page). */
  readonly otherPortsTaken: readonly { readonly port: number; readonly holder: string }[];
}

export type EngineProbeView =
  | { readonly kind: 'healthy'; readonly product: string; readonly version: string; readonly owner: string | null }
  | { readonly kind: 'refused' }
  | {
      readonly kind: 'not-ready' | 'silent' | 'denied' | 'foreign';
      readonly reason: string;
      readonly owner: string | null;
    };

/** What was seen of a unit that PM2 forks. */
export interface ForkView {
  /** Living processes of it, by instance name. */
  readonly alive: readonly {
    readonly instance: string;
    readonly pid: number;
    readonly healthy: boolean;
    readonly settingsDigest: string;
  }[];
  readonly portTakenBy: string | null;
}

export interface World {
  /** The layout id: engines that carry it are ours. */
  readonly id: string;
  readonly mongodb: EngineView | null;
  readonly rabbitmq: EngineView | null;
  readonly forks: Readonly<Record<string, ForkView>>;
}
