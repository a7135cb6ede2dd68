import { describe, expect, it } from 'vitest';
import { tierStatus, type SlotView, type TierView } from './tier-status.js';

const slot = (index: number, change: Partial<SlotView> = {}): SlotView => ({
  id: `web.${index}`,
  pid: 100 + index,
  phase: 'healthy',
  doing: 'serving',
  doingForMs: 1000,
  startedAt: 1,
  restarts: 0,
  crashes: 0,
  failure: null,
  retryInMs: null,
  served: 10,
  inFlight: 1,
  ...change,
});
const tier = (slots: readonly SlotView[], change: Partial<TierView> = {}): TierView => ({
  port: 5000,
  slots,
  gateOpen: true,
  life: 'running',
  failure: null,
  wasHealthy: true,
  answered: true,
  predecessors: 0,
  draining: 0,
  servedBefore: 5,
  reloads: 0,
  ...change,
});
const importing = slot(1, { phase: 'loading', doing: 'importing app.js', doingForMs: 2100 });
const throws = { kind: 'entry-throws', what: 'app.js throws' } as const;

describe('tierStatus', () => {
  const table: readonly (readonly [string, TierView, string, string | null])[] = [
    ['all healthy', tier([slot(0), slot(1)]), 'healthy', null],
    ['port not asked yet', tier([slot(0)], { answered: false }), 'starting', 'waiting for port 5000 to answer'],
    [
      'first start',
      tier([slot(0), importing], { wasHealthy: false }),
      'starting',
      '1/2 answering; web.1 has been importing app.js for 2.1 s',
    ],
    [
      'one being replaced',
      tier([slot(0), importing]),
      'degraded',
      '1/2 answering; web.1 has been importing app.js for 2.1 s',
    ],
    [
      'backing off',
      tier([slot(0), slot(1, { pid: null, phase: 'waiting', crashes: 4, retryInMs: 1000, failure: throws })]),
      'degraded',
      '1/2 answering; web.1 died 4 times in a row, next try in 1.0 s (app.js throws)',
    ],
    [
      'before the gate',
      tier([importing], { gateOpen: false, wasHealthy: false }),
      'starting',
      'waiting for what it depends on',
    ],
    ['given up', tier([slot(0, { pid: null, phase: 'waiting' })], { failure: throws }), 'failed', 'app.js throws'],
    [
      'given up beside predecessors',
      tier([], { failure: throws, predecessors: 3 }),
      'failed',
      'app.js throws; 3 instances of the previous primary still serve',
    ],
    ['leaving', tier([slot(0)], { life: 'stopping' }), 'draining', 'finishing requests in hand'],
    ['drained', tier([slot(0, { pid: null, phase: 'stopped' })], { life: 'stopped' }), 'stopped', 'drained'],
  ];
  it.each(table)('%s', (_name, view, state, reason) => {
    expect(tierStatus(view)).toMatchObject({ state, reason });
  });

  it('adds up the requests of instances that are gone', () => {
    const status = tierStatus(tier([slot(0), slot(1)]));
    expect(status.facts).toMatchObject({
      requests: 25,
      inFlight: 2,
      perInstance: { 'web.0': { requests: 10, inFlight: 1 } },
    });
    expect(status.ports).toEqual([5000]);
    expect(tierStatus(tier([importing])).ports).toEqual([]);
  });
});
