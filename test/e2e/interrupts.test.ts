import { describe, expect, it } from 'vitest';
import { TestProject, type ProjectPorts } from '../rig/project.js';

const webOnly = (ports: ProjectPorts): unknown => ({ web: { app: './app.js', port: ports.web, workers: 2 } });
const SLOW =
  "await new Promise((resolve) => setTimeout(resolve, 20_000));\nexport default (req, res) => res.end('x');\n";

describe('interrupting up', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 143],
  ] as const)('%s rolls back and exits %i', async (signal, code) => {
    await using project = await TestProject.create({ stack: webOnly, files: { 'app.js': SLOW } });
    const up = project.start(['up']);
    await up.waitForOutput(/memt up /);
    up.kill(signal);
    const run = await up.done;
    expect(run.code).toBe(code);
    expect(run.stderr).toContain(`stopped by ${signal}`);
    expect((await project.memt(['status'])).code).toBe(3);
  });

  it('a second Ctrl-C does not wait', async () => {
    const stubborn =
      "process.on('SIGTERM', () => 0);\nawait new Promise((resolve) => setTimeout(resolve, 20_000));\nexport default () => 0;\n";
    await using project = await TestProject.create({ stack: webOnly, files: { 'app.js': stubborn } });
    const up = project.start(['up']);
    await up.waitForOutput(/memt up /);
    up.kill('SIGINT');
    await up.waitForOutput(/rolling back/);
    up.kill('SIGINT');
    const run = await up.done;
    expect(run.code).toBe(130);
    expect(run.ms).toBeLessThan(15_000);
  });

  it('down during up asks it to give up, then finds nothing', async () => {
    await using project = await TestProject.create({ stack: webOnly, files: { 'app.js': SLOW } });
    const up = project.start(['up']);
    await up.waitForOutput(/memt up /);
    // The lock is taken right after the headline.
    const down = await project.memt(['down']);
    const run = await up.done;
    expect(down.code).toBe(0);
    expect([0, 69]).toContain(run.code);
    expect((await project.memt(['down'])).stdout).toBe('Nothing is running.\n');
  });
});

describe('many at once', () => {
  it('ten up give one stack and one result', async () => {
    await using project = await TestProject.create({ stack: webOnly });
    const runs = await Promise.all(Array.from({ length: 10 }, () => project.memt(['up'])));
    expect(runs.map((run) => run.code)).toEqual(Array.from({ length: 10 }, () => 0));
    const report = JSON.parse((await project.memt(['status', '--json'])).stdout) as {
      units: { instances: { restarts: number }[] }[];
    };
    expect(report.units[0]?.instances).toHaveLength(2);
    expect((await project.memt(['down'])).code).toBe(0);
  });

  it('two up that fail report the same failure', async () => {
    await using project = await TestProject.create({
      stack: webOnly,
      files: { 'app.js': "throw new Error('broken');\n" },
    });
    const runs = await Promise.all([project.memt(['up']), project.memt(['up'])]);
    expect(runs.map((run) => run.code)).toEqual([69, 69]);
    for (const run of runs) expect(run.stderr).toContain('Error: broken');
  });
});

describe('up killed half-way', () => {
  it('is repaired by the next up', async () => {
    await using project = await TestProject.create({ stack: webOnly, files: { 'app.js': SLOW } });
    const up = project.start(['up']);
    await up.waitForOutput(/memt up /);
    await waitForPid(project);
    up.kill('SIGKILL');
    await up.done;
    project.write('app.js', "export default (req, res) => res.end('x');\n");
    const down = await project.memt(['down']);
    expect(down.code).toBe(0);
    const again = await project.memt(['up']);
    expect(again.code).toBe(0);
    expect((await project.memt(['down'])).code).toBe(0);
  });
});

async function waitForPid(project: TestProject): Promise<void> {
  const end = Date.now() + 10_000;
  while (project.read('.memt/run/journal/web.json') === '') {
    if (Date.now() > end) throw new Error('web was not forked within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('foreground', () => {
  it('streams the logs, and Ctrl-C takes the stack down in order', async () => {
    const talking = "export default (req, res) => { console.log('served', req.url); res.end('x'); };\n";
    await using project = await TestProject.create({ stack: webOnly, files: { 'app.js': talking } });
    const up = project.start(['up', '--foreground']);
    await up.waitForOutput(/Healthy in/);
    await fetch(`http://127.0.0.1:${project.ports.web}/hello`);
    await up.waitForOutput(/web\.\d .*served \/hello/);
    up.kill('SIGINT');
    const run = await up.done;
    expect(run.code).toBe(0);
    expect(run.stdout).toContain('Down in');
  });

  it('ends when a down elsewhere has taken the stack away', async () => {
    await using project = await TestProject.create({ stack: webOnly });
    const up = project.start(['up', '--foreground']);
    await up.waitForOutput(/Healthy in/);
    expect((await project.memt(['down'])).code).toBe(0);
    expect((await up.done).code).toBe(0);
  });
});
