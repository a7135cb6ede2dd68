import type { Failure } from '../model/failure.js';
import type { Json } from '../model/record.js';
import type { ChildInstance, ChildStatus } from '../model/status.js';
import type { InstanceState } from '../model/unit.js';
import { unreachable } from '../util/unreachable.js';
import type { Phase } from './instance-process.js';

/** One slot as `status` sees it. Times in ms. */
export interface SlotView {
  readonly id: string;
  readonly pid: number | null;
  readonly phase: Phase | 'waiting' | 'stopped';
  readonly doing: string;
  readonly doingForMs: number;
  /** Unix ms. */
  readonly startedAt: number;
  readonly restarts: number;
  readonly crashes: number;
  readonly failure: Failure | null;
  /** Until the next try, when it waits for one. */
  readonly retryInMs: number | null;
  readonly served: number;
  readonly inFlight: number;
}

export interface TierView {
  readonly port: number;
  readonly slots: readonly SlotView[];
  readonly gateOpen: boolean;
  /** `stopping`: on its way out; `stopped`: drained, waiting for its own end. */
  readonly life: 'running' | 'stopping' | 'stopped';
  readonly failure: Failure | null;
  /** Every instance has been healthy at once, at some time. */
  readonly wasHealthy: boolean;
  /** The shared port has answered. */
  readonly answered: boolean;
  /** Instances of a killed primary that still serve. */
  readonly predecessors: number;
  /** Replaced instances that finish what they have. */
  readonly draining: number;
  /** Requests served by instances that are gone. */
  readonly servedBefore: number;
  readonly reloads: number;
}

/** The answer to the control operation `status`. Pure. */
export function tierStatus(tier: TierView): ChildStatus {
  const { state, reason } = stateOf(tier);
  const up = tier.slots.some((slot) => slot.phase === 'healthy');
  return {
    state,
    reason,
    failure: tier.failure,
    waiting: !tier.gateOpen,
    ports: up ? [tier.port] : [],
    instances: tier.slots.map(instanceOf),
    facts: {
      requests: tier.slots.reduce((sum, slot) => sum + slot.served, tier.servedBefore),
      inFlight: tier.slots.reduce((sum, slot) => sum + slot.inFlight, 0),
      draining: tier.draining,
      reloads: tier.reloads,
      perInstance: Object.fromEntries(
        tier.slots.map((slot): [string, Json] => [slot.id, { requests: slot.served, inFlight: slot.inFlight }]),
      ),
    },
  };
}

function stateOf(tier: TierView): { readonly state: InstanceState; readonly reason: string | null } {
  if (tier.life === 'stopping') return { state: 'draining', reason: 'finishing requests in hand' };
  if (tier.life === 'stopped') return { state: 'stopped', reason: 'drained' };
  if (tier.failure) {
    const old = tier.predecessors > 0 ? `; ${tier.predecessors} instances of the previous primary still serve` : '';
    return { state: 'failed', reason: tier.failure.what + old };
  }
  if (!tier.gateOpen) return { state: 'starting', reason: 'waiting for what it depends on' };
  const healthy = tier.slots.filter((slot) => slot.phase === 'healthy').length;
  if (healthy === tier.slots.length) {
    return tier.answered
      ? { state: 'healthy', reason: null }
      : { state: 'starting', reason: `waiting for port ${tier.port} to answer` };
  }
  const worst = tier.slots
    .filter((slot) => slot.phase !== 'healthy')
    .sort((a, b) => b.crashes - a.crashes || b.doingForMs - a.doingForMs)[0];
  const reason = `${healthy}/${tier.slots.length} answering${worst ? `; ${describe(worst)}` : ''}`;
  return { state: tier.wasHealthy ? 'degraded' : 'starting', reason };
}

function describe(slot: SlotView): string {
  const last = slot.failure?.what;
  if (slot.phase === 'waiting') {
    const times = slot.crashes === 1 ? 'once' : `${slot.crashes} times in a row`;
    return `${slot.id} died ${times}, next try in ${seconds(slot.retryInMs ?? 0)}${last ? ` (${last})` : ''}`;
  }
  const again = slot.crashes > 0 && last ? `; before: ${last}` : '';
  return `${slot.id} has been ${slot.doing} for ${seconds(slot.doingForMs)}${again}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function instanceOf(slot: SlotView): ChildInstance {
  return {
    id: slot.id,
    pid: slot.pid,
    state: instanceState(slot.phase),
    startedAt: slot.startedAt,
    restarts: slot.restarts,
  };
}

function instanceState(phase: SlotView['phase']): InstanceState {
  switch (phase) {
    case 'warming':
    case 'loading':
      return 'starting';
    case 'healthy':
      return 'healthy';
    case 'draining':
      return 'draining';
    case 'waiting':
    case 'gone':
      return 'failed';
    case 'stopped':
      return 'stopped';
    default:
      return unreachable(phase);
  }
}
