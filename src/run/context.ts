import type { RunEvent } from '../model/event.js';
import type { ProcessManager } from '../ports/process-manager.js';
import type { Registry } from '../ports/registry.js';
import type { Spawn } from '../ports/spawner.js';
import type { Layout } from '../util/layout.js';

/** What carrying out a plan needs from outside; wired by the composition roots. */
export interface RunContext {
  readonly version: string;
  readonly layout: Layout;
  readonly registry: Registry;
  readonly spawn: Spawn;
  /** Loads PM2; called once per run, only when something must be forked or stopped through it. */
  readonly processManager: () => Promise<ProcessManager>;
  readonly emit: (event: RunEvent) => void;
}
