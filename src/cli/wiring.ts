import { registry } from '../../services/index.js';
import type { RunEvent } from '../model/event.js';
import type { RunContext } from '../run/context.js';
import { packageVersion } from '../util/entries.js';
import type { Layout } from '../util/layout.js';

/** The run context of the real machine; PM2 and execa load only when a run reaches for them. */
export function wire(layout: Layout, emit: (event: RunEvent) => void): RunContext {
  return {
    version: packageVersion(),
    layout,
    registry,
    spawn: async (launch) => (await import('../adapters/spawn.js')).spawnDetached(launch),
    processManager: async () => (await import('../adapters/pm2.js')).createPm2(layout),
    emit,
  };
}
