import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatusReport } from '../../src/model/status.js';
import { normalise } from '../rig/normalise.js';
import { TestProject } from '../rig/project.js';

describe('the four verbs on a machine with nothing but Node', () => {
  let project: TestProject;
  beforeAll(async () => {
    project = await TestProject.create({
      stack: (ports) => ({
        web: { app: './app.js', port: ports.web, workers: 3 },
        worker: { tasks: './tasks.js', processes: 2 },
        mongodb: { port: ports.mongodb },
        rabbitmq: { port: ports.rabbitmq, managementPort: ports.management },
      }),
    });
  });
  afterAll(() => project[Symbol.asyncDispose]());

  const report = async (): Promise<StatusReport> =>
    JSON.parse((await project.memt(['status', '--json'])).stdout) as StatusReport;
  const pids = async (): Promise<(number | null)[]> =>
    (await report()).units.flatMap((unit) => unit.instances.map((one) => one.pid));

  it('status before: down, exit 3, the units of the config', async () => {
    const run = await project.memt(['status']);
    expect(run.code).toBe(3);
    expect(run.stdout).toContain('Nothing runs of mongodb, rabbitmq, worker, web. Next: memt up');
    expect(await report()).toMatchObject({ schema: 1, state: 'down', workers: { wanted: 3 } });
  });

  it('--dry-run says what would happen and why, and changes nothing', async () => {
    const run = await project.memt(['up', '--dry-run']);
    expect(run.code).toBe(0);
    expect(normalise(run.stdout, project)).toMatchInlineSnapshot(`
      "memt up --dry-run   environment local; nothing is changed
      start    mongodb    embedded     127.0.0.1:<mongodb>   no mongod found
      start    rabbitmq   embedded     127.0.0.1:<rabbitmq>   no rabbitmq-server found
      start    worker     2 processes                    not running; 2 processes   after mongodb, rabbitmq
      start    web        1 process    127.0.0.1:<web>   not running; ecosystem.config.js = 3   after mongodb, rabbitmq
      "
    `);
    expect(project.read('.memt/.gitignore')).toBe('');
  });

  it('up starts everything in order and proves it', async () => {
    const run = await project.memt(['up']);
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    const lines = normalise(run.stdout, project)
      .split('\n')
      .map((line) => line.replace(/\s+/g, ' ').trim());
    expect(lines).toMatchInlineSnapshot(`
      [
        "memt up environment local; C CPUs -> 3 web instances (ecosystem.config.js)",
        "ok mongodb EMBEDDED (no mongod found), answers as 7.0.0 127.0.0.1:<mongodb> T s",
        "ok rabbitmq EMBEDDED (no rabbitmq-server found), answers as 3.10.8 127.0.0.1:<rabbitmq> T s",
        "ok worker 2/2 consuming T s",
        "ok web 3/3 answering 127.0.0.1:<web> T s",
        "Page http://localhost:<web> RabbitMQ http://localhost:<management> (guest/guest)",
        "Healthy in T s. Next: memt status | memt logs --level error | memt down",
        "",
      ]
    `);
    const page = await fetch(`http://127.0.0.1:${project.ports.web}/x`);
    expect(page.status).toBe(200);
  });

  it('status: healthy, exit 0, every instance with a pid', async () => {
    const run = await project.memt(['status', '--json']);
    expect(run.code).toBe(0);
    const now = JSON.parse(run.stdout) as StatusReport;
    expect(now).toMatchObject({
      state: 'healthy',
      environment: 'local',
      supervisor: { keeper: 'running', pm2: 'running' },
    });
    expect(now.units.map((unit) => [unit.name, unit.state, unit.engine, unit.instances.length])).toEqual([
      ['mongodb', 'healthy', 'embedded', 1],
      ['rabbitmq', 'healthy', 'embedded', 1],
      ['worker', 'healthy', null, 2],
      ['web', 'healthy', null, 3],
    ]);
    expect(now.units.flatMap((unit) => unit.instances).every((one) => (one.pid ?? 0) > 0 && one.memoryBytes > 0)).toBe(
      true,
    );
  });

  it('up again changes nothing and nobody', async () => {
    const before = await pids();
    const run = await project.memt(['up']);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain('already running');
    expect(await pids()).toEqual(before);
  });

  it('up with other settings restarts exactly the changed unit', async () => {
    const before = await report();
    const run = await project.memt(['up', '--concurrency', '3']);
    expect(run.code).toBe(0);
    const after = await report();
    const pidsOf = (seen: StatusReport, name: string): unknown =>
      seen.units.find((unit) => unit.name === name)?.instances.map((one) => one.pid);
    expect(pidsOf(after, 'web')).toEqual(pidsOf(before, 'web'));
    expect(pidsOf(after, 'mongodb')).toEqual(pidsOf(before, 'mongodb'));
    expect(pidsOf(after, 'worker')).not.toEqual(pidsOf(before, 'worker'));
  });

  it('a clean stack has no error line, and says so', async () => {
    const run = await project.memt(['logs', '--level', 'error']);
    expect(run.code).toBe(0);
    expect(run.stdout).toBe('');
    expect(run.stderr).toMatch(
      /^no error lines from \d+ units since \d\d:\d\d \([\d,]+ below error; --level \w+ shows \d+\)\n$/,
    );
  });

  it('works from any folder of the project, and with -C', async () => {
    project.write('deep/er/x.txt', '');
    expect((await project.memt(['status'], { cwd: `${project.root}/deep/er` })).code).toBe(0);
    expect((await project.memt(['-C', project.root, 'status'], { cwd: '/' })).code).toBe(0);
  });

  it('down stops in order and leaves nothing; again: nothing is running', async () => {
    const run = await project.memt(['down']);
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    const order = [...run.stdout.matchAll(/^ok (\w+)/gm)].map((match) => match[1]);
    expect(order).toEqual(['web', 'worker', 'rabbitmq', 'mongodb']);
    const again = await project.memt(['down']);
    expect(again).toMatchObject({ code: 0, stdout: 'Nothing is running.\n', stderr: '' });
    expect((await project.memt(['status'])).code).toBe(3);
  });

  it('the whole life has written no error line', async () => {
    expect((await project.memt(['logs', '--level', 'error'])).stdout).toBe('');
  });

  it('--purge needs a yes without a terminal, and then deletes', async () => {
    const refused = await project.memt(['down', '--purge']);
    expect(refused.code).toBe(64);
    expect(refused.stderr).toContain('memt down --purge --yes');
    expect((await project.memt(['down', '--purge', '--yes'])).code).toBe(0);
    expect(project.read('.memt/.gitignore')).toBe('');
  });
});
