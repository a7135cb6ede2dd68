import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { pidsWithEnv } from '../../src/host/proc.js';
import { MEMT_ENV } from '../../src/model/launch.js';
import { poll } from '../../src/util/deadline.js';
import type { Run } from '../rig/memt-process.js';
import type { TestProject } from '../rig/project.js';
import { createStack, healthy, inOrder, pidOf, printTable, record, statusOf, type Cell } from './stack.js';

const cells: Cell[] = [];
afterAll(() => printTable(cells));

/** A running stack, or one at whose `up` the test looks. */
async function stack(run = true): Promise<TestProject> {
  const project = await createStack();
  if (run) expect((await project.memt(['up'])).code).toBe(0);
  return project;
}

function marked(project: TestProject): number[] {
  return pidsWithEnv(MEMT_ENV.runDir, project.layout.runDir);
}

function note(cell: string, run: Run): void {
  cells.push({ cell, recoveryMs: run.ms, result: `exit ${run.code}` });
}

async function down(project: TestProject, cell: string): Promise<void> {
  const run = await project.memt(['down']);
  note(cell, run);
  expect(run.stdout + run.stderr).toContain('Down in');
  expect(run.code).toBe(0);
  expect(marked(project)).toEqual([]);
  expect((await project.memt(['down'])).stdout).toBe('Nothing is running.\n');
}

describe('memt up, killed with SIGKILL', () => {
  const moments = { 'an engine has been spawned': 'mongodb', 'the web server has been forked': 'web' } as const;
  it.each(Object.entries(moments))('when %s: the next up repairs', async (moment, instance) => {
    await using project = await stack(false);
    const up = project.start(['up']);
    await poll(() => record(project, instance), { everyMs: 2, ms: 15_000, what: moment });
    up.kill('SIGKILL');
    await up.done;
    const again = await project.memt(['up']);
    note(`up killed when ${moment}, then up`, again);
    expect(again.stderr + again.stdout).toContain('Healthy in');
    await inOrder(project);
    await down(project, `up killed when ${moment}, up, then down`);
  });

  it('during a change of a healthy stack: what runs stays guarded, and status says what to do', async () => {
    await using project = await stack();
    project.write('tasks.js', `await new Promise((resolve) => setTimeout(resolve, 60_000));\n${project.read('tasks.js')}`);
    const config = project.read('ecosystem.config.js');
    project.write('ecosystem.config.js', config.replace('"concurrency": 5', '"concurrency": 6'));
    const worker = pidOf(project, 'worker.0');
    const up = project.start(['up']);
    await poll(() => (record(project, 'worker.0')?.pid ?? worker) !== worker || undefined, { everyMs: 5, ms: 15_000, what: 'the other worker' });
    up.kill('SIGKILL');
    await up.done;
    const mongodb = pidOf(project, 'mongodb');
    process.kill(mongodb, 'SIGKILL');
    await poll(() => (record(project, 'mongodb')?.pid ?? mongodb) !== mongodb || undefined, { everyMs: 20, ms: 8000, what: 'another mongodb' });
    const report = await statusOf(project);
    expect(report.state).toBe('degraded');
    expect(report.units.find(({ name }) => name === 'worker')?.reason).toContain('memt up');
    await down(project, 'up killed during a change, then down');
  });
});

describe('memt down, killed with SIGKILL', () => {
  it.each(['up', 'down'] as const)('is finished or undone by %s', async (verb) => {
    await using project = await stack();
    const first = project.start(['down']);
    await poll(() => (record(project, 'web') ? undefined : true), { everyMs: 2, ms: 15_000, what: 'the end of web' });
    first.kill('SIGKILL');
    await first.done;
    if (verb === 'up') {
      const up = await project.memt(['up']);
      note('down killed, then up', up);
      expect(up.stderr + up.stdout).toContain('Healthy in');
      await inOrder(project);
    }
    await down(project, `down killed, then ${verb === 'up' ? 'up and down' : 'down'}`);
  });
});

describe('memt down', () => {
  it('when half is dead already', async () => {
    await using project = await stack();
    process.kill(pidOf(project, 'pm2'), 'SIGKILL');
    process.kill(pidOf(project, 'mongodb'), 'SIGKILL');
    await down(project, 'down after SIGKILL of daemon and mongodb');
  });

  it("when PM2's daemon hangs; status does not wait for it either", async () => {
    await using project = await stack();
    process.kill(pidOf(project, 'pm2'), 'SIGSTOP');
    const status = await project.memt(['status', '--json']);
    note('status while the daemon hangs', status);
    expect(status.code).toBe(0);
    expect(status.ms).toBeLessThan(3000);
    await down(project, 'down while the daemon hangs');
  });

  it('when the state folder was deleted: all of it ends by itself, and down finds what has not yet', async () => {
    await using project = await stack();
    rmSync(project.layout.stateDir, { recursive: true, force: true });
    const run = await project.memt(['down']);
    note('.memt deleted, then down', run);
    expect(run.code).toBe(0);
    expect(marked(project)).toEqual([]);
  });
});

describe('the state folder is deleted', () => {
  it('the keeper ends everything', async () => {
    await using project = await stack();
    const started = performance.now();
    rmSync(project.layout.stateDir, { recursive: true, force: true });
    await poll(() => (marked(project).length === 0 ? true : undefined), { everyMs: 50, ms: 15_000, what: 'the end of the stack' });
    cells.push({ cell: '.memt deleted, nothing done', recoveryMs: performance.now() - started, result: 'all ended' });
  });
});

describe('memt up after the config has changed', () => {
  it('drains what is no longer in it', async () => {
    await using project = await stack();
    const { ports } = project;
    project.write('app.js', "export default (request, response) => response.end('x');\n");
    project.write(
      'ecosystem.config.js',
      `import { defineStack } from 'memt/config';\nexport const { apps, memt } = defineStack(${JSON.stringify({
        web: { app: './app.js', port: ports.web, workers: 2 },
        worker: false,
        mongodb: { port: ports.mongodb },
        rabbitmq: false,
      })});\n`,
    );
    const up = await project.memt(['up']);
    note('up without worker and rabbitmq', up);
    expect(up.stderr + up.stdout).toContain('Healthy in');
    expect(up.stdout).toMatch(/worker is no longer in the config: 1 process drained/);
    expect(up.stdout).toMatch(/rabbitmq is no longer in the config: stopped/);
    const report = await healthy(project, 5000);
    expect(report.units.map(({ name }) => name)).toEqual(['mongodb', 'web']);
    expect(record(project, 'worker.0')).toBeUndefined();
    expect(record(project, 'rabbitmq')).toBeUndefined();
    await down(project, 'down after that');
  });
});
