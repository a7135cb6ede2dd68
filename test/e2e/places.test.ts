import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { message, normalise } from '../rig/normalise.js';
import { TestProject, type ProjectPorts } from '../rig/project.js';

const webOnly = (ports: ProjectPorts): unknown => ({ web: { app: './app.js', port: ports.web, workers: 1 } });

describe('where a project lies', () => {
  it.each([
    ['with spaces and quotes', `my "best" project's folder`],
    ['of 200 characters', join('a'.repeat(90), 'b'.repeat(90), 'c'.repeat(18))],
    ['with other letters', 'проект-项目'],
  ])('%s', async (_what, path) => {
    await using project = await TestProject.create({ path });
    const up = await project.memt(['up']);
    expect(up.stderr).toBe('');
    expect(up.code).toBe(0);
    expect((await project.memt(['status'])).code).toBe(0);
    const down = await project.memt(['down']);
    expect(down.code).toBe(0);
  });
});

describe('a project folder that cannot be written', () => {
  it.skipIf(process.getuid?.() === 0)('says so', async () => {
    await using project = await TestProject.create({ stack: webOnly });
    chmodSync(project.root, 0o555);
    const run = await project.memt(['up']);
    expect(run.code).toBe(78);
    expect(run.stderr).toContain('permission denied');
  });

  it('whose .memt is a symbolic link is refused', async () => {
    await using project = await TestProject.create({ stack: webOnly });
    mkdirSync(join(project.home, 'elsewhere'));
    symlinkSync(join(project.home, 'elsewhere'), join(project.root, '.memt'));
    const run = await project.memt(['up']);
    expect(run.code).toBe(78);
    expect(message(run.stderr, project)).toMatchSnapshot();
    expect(normalise(run.stderr, project)).toMatch(/<root>\/\.memt is not a folder.*symbolic link/s);
  });

  it('whose .memt is a file is refused', async () => {
    await using project = await TestProject.create({ stack: webOnly, files: { '.memt': 'a file' } });
    const run = await project.memt(['up']);
    expect(run.code).toBe(78);
  });
});

describe('the environment', () => {
  const SHOW = 'export default (req, res) => res.end(JSON.stringify(process.env));\n';

  it('is the shell that ran up plus .env, and nothing of PM2', async () => {
    await using project = await TestProject.create({
      stack: webOnly,
      files: { 'app.js': SHOW, '.env': 'FROM_FILE="yes it is"\nDATABASE_URL=from-file\n' },
    });
    expect((await project.memt(['up'], { env: { DATABASE_URL: 'from-shell', SECRET_KEY: 'hush' } })).code).toBe(0);
    const seen = (await (await fetch(`http://127.0.0.1:${project.ports.web}/`)).json()) as Record<string, string>;
    expect(seen).toMatchObject({ FROM_FILE: 'yes it is', DATABASE_URL: 'from-shell', SECRET_KEY: 'hush' });
    expect(
      Object.keys(seen).filter((name) => /^(pm_|pm2|PM2|exec_mode|kill_timeout|unique_id|axm)/.test(name)),
    ).toEqual([]);
    expect(project.read('.memt/run/pm2/pm2.log')).not.toContain('hush');
    expect((await project.memt(['down'])).code).toBe(0);
  });

  it("leaves the user's PM2_HOME alone", async () => {
    await using project = await TestProject.create({ stack: webOnly });
    const env = { PM2_HOME: join(project.home, 'mine') };
    expect((await project.memt(['up'], { env })).code).toBe(0);
    expect((await project.memt(['down'], { env })).code).toBe(0);
    expect(project.read('../mine/pm2.pid')).toBe('');
    expect(project.read('../.pm2/pm2.log')).toBe('');
  });
});

describe('bad configs', () => {
  it('five problems come at once, exit 78', async () => {
    await using project = await TestProject.create({
      stack: () => ({
        web: { app: './app.js', prot: 1, port: 70_000, workers: 'many' },
        wroker: {},
        worker: { tasks: './no.js' },
      }),
    });
    const run = await project.memt(['up']);
    expect(run.code).toBe(78);
    for (const word of ['web.prot', 'did you mean', 'web.port', 'web.workers', 'wroker', 'worker.tasks'])
      expect(run.stderr).toContain(word);
  });

  it('none at all: where it looked and how to begin', async () => {
    await using project = await TestProject.create({ stack: webOnly });
    const run = await project.memt(['up'], { cwd: '/' });
    expect(run.code).toBe(78);
    expect(message(run.stderr, project)).toMatchSnapshot();
    expect(run.stderr).toMatch(/no ecosystem\.config\.js.*memt init/s);
  });

  it('node_modules missing: the command that mends it', async () => {
    await using project = await TestProject.create({
      stack: webOnly,
      files: { 'package.json': '{ "name": "app", "type": "module", "dependencies": { "left-pad": "1.3.0" } }\n' },
    });
    const run = await project.memt(['up']);
    expect(run.code).toBe(78);
    expect(message(run.stderr, project)).toMatchSnapshot();
    expect(run.stderr).toMatch(/npm (ci|install)/);
  });

  it.each([
    [['upp'], 64],
    [['up', 'wbe'], 64],
    [['up', '--nope'], 64],
    [['status', '-C'], 64],
    [['-C', '/does/not/exist', 'status'], 64],
  ])('%j exits %i', async (args, code) => {
    await using project = await TestProject.create({ stack: webOnly });
    expect((await project.memt(args)).code).toBe(code);
  });
});
