import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { commandOf, pidsWithEnv } from '../../src/host/proc.js';
import { MEMT_ENV } from '../../src/model/launch.js';
import type { StatusReport } from '../../src/model/status.js';
import { poll } from '../../src/util/deadline.js';
import type { Run } from '../rig/memt-process.js';
import type { TestProject } from '../rig/project.js';
import { createStack, healthy, inOrder, pidOf, printTable, record, statusOf, type Cell } from './stack.js';
import { LONG } from '../rig/ring.js';

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

  it.runIf(LONG)(
    'during a change of a healthy stack: what runs stays guarded, and status says what to do',
    async () => {
      await using project = await stack();
      project.write(
        'tasks.js',
        `await new Promise((resolve) => setTimeout(resolve, 60_000));\n${project.read('tasks.js')}`,
      );
      const config = project.read('ecosystem.config.js');
      project.write('ecosystem.config.js', config.replace('"concurrency": 5', '"concurrency": 6'));
      const worker = pidOf(project, 'worker.0');
      const up = project.start(['up']);
      await poll(() => (record(project, 'worker.0')?.pid ?? worker) !== worker || undefined, {
        everyMs: 5,
        ms: 15_000,
        what: 'the other worker',
      });
      up.kill('SIGKILL');
      await up.done;
      const mongodb = pidOf(project, 'mongodb');
      process.kill(mongodb, 'SIGKILL');
      await poll(() => (record(project, 'mongodb')?.pid ?? mongodb) !== mongodb || undefined, {
        everyMs: 20,
        ms: 8000,
        what: 'another mongodb',
      });
      const report = await statusOf(project);
      expect(report.state).toBe('degraded');
      expect(report.units.find(({ name }) => name === 'worker')?.reason).toContain('memt up');
      await down(project, 'up killed during a change, then down');
    },
  );
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
    expect((await project.memt(['down'])).stdout).toBe('Nothing is running.\n');
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

  it.runIf(LONG)('when the state folder was deleted: what has not ended by itself is found', async () => {
    await using project = await stack();
    rmSync(project.layout.stateDir, { recursive: true, force: true });
    const run = await project.memt(['down']);
    note('.memt deleted, then down', run);
    expect(run.code).toBe(0);
    expect(marked(project)).toEqual([]);
  });
});

describe.runIf(LONG)('the state folder is deleted', () => {
  it('the keeper ends everything', async () => {
    await using project = await stack();
    const started = performance.now();
    rmSync(project.layout.stateDir, { recursive: true, force: true });
    await poll(() => (marked(project).length === 0 ? true : undefined), {
      everyMs: 50,
      ms: 15_000,
      what: 'the end of the stack',
    });
    cells.push({ cell: '.memt deleted, nothing done', recoveryMs: performance.now() - started, result: 'all ended' });
  });
});

describe.runIf(LONG)('memt up after the config has changed', () => {
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

describe.runIf(LONG)('memt up with a change that does not work', () => {
  it('is rolled back, and what ran before runs again', async () => {
    await using project = await stack();
    const config = project.read('ecosystem.config.js');
    project.write('broken.js', "throw new Error('broken');\n");
    project.write('ecosystem.config.js', config.replace('./app.js', './broken.js'));
    const up = await project.memt(['up']);
    expect(up.code).toBe(69);
    expect(up.stderr + up.stdout).toContain('Error: broken');
    const started = performance.now();
    await healthy(project, 12_000);
    cells.push({
      cell: 'up with a broken change, then nothing',
      recoveryMs: performance.now() - started,
      result: 'as before',
    });
    await inOrder(project);
    await down(project, 'down after that');
  });
});

describe.runIf(LONG)('everything has been killed, as by a restart of the machine', () => {
  it('status says so, and up starts anew', async () => {
    await using project = await stack();
    // The supervisors first: they would bring the others back.
    for (const name of ['keeper', 'pm2']) process.kill(pidOf(project, name), 'SIGKILL');
    for (const pid of marked(project)) process.kill(pid, 'SIGKILL');
    await poll(() => (marked(project).length === 0 ? true : undefined), { everyMs: 10, ms: 3000, what: 'their end' });
    const status = await project.memt(['status', '--json']);
    expect(status.code).toBe(3);
    expect((JSON.parse(status.stdout) as StatusReport).units.map(({ state }) => state)).toEqual(
      Array.from({ length: 4 }, () => 'stopped'),
    );
    const up = await project.memt(['up']);
    note('all killed, then up', up);
    expect(up.stderr + up.stdout).toContain('Healthy in');
    await inOrder(project);
    await down(project, 'down after that');
  });
});

describe.runIf(LONG)('what the application itself has started', () => {
  it('is left alone by a repair, and ended by down', async () => {
    await using project = await stack(false);
    const daemonise =
      "import { execFileSync } from 'node:child_process';\nexecFileSync('sh', ['-c', 'setsid sleep 300 > /dev/null 2>&1 &']);\n";
    project.write('app.js', daemonise + project.read('app.js'));
    expect((await project.memt(['up'])).code).toBe(0);
    const sleeping = marked(project).filter((pid) => commandOf(pid) === 'sleep 300');
    expect(sleeping).toHaveLength(2);
    for (const name of ['keeper', 'pm2', 'worker.0']) process.kill(pidOf(project, name), 'SIGKILL');
    const up = await project.memt(['up']);
    expect(up.stdout).toContain('repaired');
    expect(marked(project).filter((pid) => commandOf(pid) === 'sleep 300')).toEqual(sleeping);
    await down(project, 'down with daemons of the application');
  });
});

describe.runIf(LONG)('processes that hang', () => {
  it('do not keep down waiting for a drain that they cannot answer', async () => {
    await using project = await stack();
    for (const name of ['worker.0', 'web', 'web.0', 'mongodb']) process.kill(pidOf(project, name), 'SIGSTOP');
    const run = await project.memt(['down']);
    note('down while worker, web and mongodb are stopped', run);
    expect(run.code).toBe(0);
    expect(run.ms).toBeLessThan(10_000);
    expect(marked(project)).toEqual([]);
  });
});
