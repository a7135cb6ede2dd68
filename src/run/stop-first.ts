import { statOf } from '../host/proc.js';
import type { StopOutcome } from '../host/stop.js';
import type { Settings } from '../model/settings.js';
import { startOrder } from '../plan/graph.js';
import type { UpPlan } from '../plan/step.js';
import { stackGraph } from '../plan/up.js';
import type { ProcessManager } from '../ports/process-manager.js';
import type { RunContext } from './context.js';
import { forkGraceMs, isUnitOf } from './forks.js';
import { PM2_DAEMON } from './helpers.js';
import { livingRecord } from './processes.js';
import type { StackFile, StackUnit } from './stack-file.js';
import { DEFAULT_GRACE_MS, stopEngine, stopFork, sweepStrays, type StopOptions } from './stop-unit.js';

export interface StopFirstOptions {
  readonly signal: AbortSignal;
  readonly connected: () => Promise<ProcessManager>;
  readonly stopOptions: (unit: string) => StopOptions;
}

/** Units of the stack as it was that the config does not name any more. */
export function leavingUnits(settings: Settings, before: StackFile | null): readonly StackUnit[] {
  const wanted = startOrder(stackGraph(settings));
  return (before?.units ?? []).filter((unit) => !wanted.includes(unit.name));
}

/**
 * Stops what has left the config and what restarts with other settings, in the order of `down`: who uses an engine comes before it, so
 * that the tasks in hand still find their store and queue.
 * @throws FailureError when something cannot be stopped; the signal's reason
 */
export async function stopFirst(
  context: RunContext,
  settings: Settings,
  plan: UpPlan,
  before: StackFile | null,
  options: StopFirstOptions,
): Promise<void> {
  const { layout } = context;
  const leaving = new Set(leavingUnits(settings, before).map(({ name }) => name));
  const restarting = plan.steps.filter((step) => step.action === 'restart').map(({ unit }) => unit);
  const units = [...leaving, ...restarting.reverse()];
  const say = (unit: string, text: string): void => {
    if (leaving.has(unit)) context.emit({ type: 'note', text: `${unit} is no longer in the config: ${text}` });
  };
  for (const unit of units.filter((name) => !isEngine(name))) {
    options.signal.throwIfAborted();
    const manager = livingRecord(layout, PM2_DAEMON) ? await options.connected() : null;
    const known = before && isUnitOf(before.settings, unit) ? before.settings : settings;
    const graceMs = isUnitOf(known, unit) ? forkGraceMs(known, unit) : DEFAULT_GRACE_MS;
    say(unit, await stopFork(layout, manager, unit, graceMs, options.stopOptions(unit)));
  }
  for (const unit of units.filter(isEngine)) {
    options.signal.throwIfAborted();
    if (livingRecord(layout, unit) === undefined) continue;
    const outcome = await stopWithHelpers(context, unit, options.stopOptions(unit));
    say(unit, outcome === 'killed' ? 'killed' : 'stopped, data kept');
  }
}

async function stopWithHelpers(
  context: RunContext,
  unit: 'mongodb' | 'rabbitmq',
  options: StopOptions,
): Promise<StopOutcome> {
  const { helperPrograms, stop } = context.registry[unit];
  const outcome = await stopEngine(context.layout, unit, stop, options);
  await sweepStrays(context.layout, options, (pid) => !helperPrograms.includes(statOf(pid)?.comm ?? ''));
  return outcome;
}

function isEngine(unit: string): unit is 'mongodb' | 'rabbitmq' {
  return unit === 'mongodb' || unit === 'rabbitmq';
}
