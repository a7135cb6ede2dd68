import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestProject } from '../rig/project.js';
import { Load, type LoadResult } from './load.js';
import { createStack, healthy, inOrder, pidOf, printTable, replaced, Tasks, type Cell } from './stack.js';

/** Concurrent requests of the load: as many may have been in one instance's hands when it was killed. */
const IN_FLIGHT = 3;

interface Victim {
  readonly instance: string;
  /** Another process is there after at most so long, ms. */
  readonly backMs: number;
  /** `memt status` calls everything healthy after at most so long, ms. */
  readonly healthyMs: number;
  readonly lost: (load: LoadResult) => void;
}

const nothing = ({ losses }: LoadResult): void => expect(losses).toEqual([]);
const inFlightOnly = ({ losses }: LoadResult): void => {
  expect(losses.filter(({ kind }) => kind !== 'cut')).toEqual([]);
  expect(losses.length).toBeLessThanOrEqual(IN_FLIGHT);
};
const shortGap = ({ losses, refusedMs }: LoadResult): void => {
  expect(refusedMs).toBeLessThanOrEqual(100);
  expect(losses.filter(({ kind }) => kind === 'timeout')).toEqual([]);
  expect(losses.filter(({ kind }) => kind === 'cut').length).toBeLessThanOrEqual(IN_FLIGHT);
};

// Twice what was measured on two busy cores.
const VICTIMS: readonly Victim[] = [
  { instance: 'keeper', backMs: 4000, healthyMs: 8000, lost: nothing },
  { instance: 'web.0', backMs: 4000, healthyMs: 8000, lost: inFlightOnly },
  { instance: 'web', backMs: 4000, healthyMs: 10_000, lost: shortGap },
  { instance: 'worker.0', backMs: 4000, healthyMs: 8000, lost: nothing },
  { instance: 'mongodb', backMs: 6000, healthyMs: 12_000, lost: nothing },
  { instance: 'rabbitmq', backMs: 6000, healthyMs: 12_000, lost: nothing },
  { instance: 'pm2', backMs: 6000, healthyMs: 12_000, lost: nothing },
  // Once more with processes that the first daemon has left behind and the second one does not know.
  { instance: 'worker.0', backMs: 8000, healthyMs: 12_000, lost: nothing },
  { instance: 'web', backMs: 8000, healthyMs: 12_000, lost: shortGap },
  { instance: 'keeper', backMs: 4000, healthyMs: 8000, lost: nothing },
];

describe('SIGKILL while steady, under light load', () => {
  let project: TestProject;
  const cells: Cell[] = [];

  beforeAll(async () => {
    project = await createStack();
    const up = await project.memt(['up']);
    expect(up.stderr + up.stdout).toContain('Healthy in');
    await inOrder(project);
  });

  afterAll(async () => {
    printTable(cells);
    const down = await project.memt(['down']);
    await project[Symbol.asyncDispose]();
    expect(down.code).toBe(0);
  });

  it.each(
    VICTIMS.map((victim, at) => ({
      ...victim,
      nth: VICTIMS.slice(0, at).filter((one) => one.instance === victim.instance).length + 1,
    })),
  )(
    '$instance (kill $nth)',
    async ({ instance, nth, backMs, healthyMs, lost }) => {
      await healthy(project, 10_000);
      const load = new Load(project.ports.web);
      const tasks = new Tasks(project);
      const old = pidOf(project, instance);
      const killed = performance.now();
      process.kill(old, 'SIGKILL');
      let result: LoadResult;
      try {
        await replaced(project, instance, old, backMs);
        await healthy(project, healthyMs);
        // A new primary takes the port over some moments after it has come: that belongs to what is measured.
        await inOrder(project);
      } finally {
        result = await load.end();
      }
      const recoveryMs = performance.now() - killed;
      const { accepted, without } = await tasks.outcomes(15_000);
      cells.push({
        cell: `${instance} ${nth}`,
        recoveryMs,
        result: `${result.answered} answered (${result.unavailable} times 503), ${result.losses.length} lost, refused for ${result.refusedMs.toFixed(0)} ms; ${accepted} tasks, ${without.length} lost`,
      });
      expect(accepted).toBeGreaterThan(0);
      expect(without).toEqual([]);
      lost(result);
    },
    60_000,
  );
});
