import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/util/entries.js';
import { message, normalise } from '../rig/normalise.js';
import { TestProject, type ProjectPorts } from '../rig/project.js';
import { LONG } from '../rig/ring.js';

const webOnly = (ports: ProjectPorts): unknown => ({ web: { app: './app.js', port: ports.web, workers: 1 } });

describe('the wrong Node', () => {
  it.each(['18.20.4', '20.18.3'])('%s gets one sentence and exit 78, not a SyntaxError', async (version) => {
    await using project = await TestProject.create({ stack: webOnly });
    const pretend = join(project.home, 'pretend.cjs');
    writeFileSync(
      pretend,
      `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });\n` +
        `Object.defineProperty(process, 'version', { value: 'v${version}' });\n`,
    );
    const run = spawnSync(process.execPath, ['-r', pretend, join(packageRoot, 'bin/memt.js'), 'up'], {
      cwd: project.root,
      encoding: 'utf8',
    });
    expect(run.status).toBe(78);
    expect(run.stderr).toMatch(new RegExp(`^memt needs Node 20\\.19 or newer; this is v${version}`));
    expect(run.stderr).toContain('Mend: ');
  });
});

/** Runs `body` with a small file system mounted at `folder`; false when this machine does not let us mount. */
async function withSmallDisk(folder: string, bytes: number, body: () => Promise<void>): Promise<boolean> {
  mkdirSync(folder, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder]);
  if (mounted.status !== 0) return false;
  try {
    await body();
  } finally {
    spawnSync('umount', ['-l', folder]);
  }
  return true;
}

describe('a full disk', () => {
  it('is named before anything starts', async (context) => {
    await using project = await TestProject.create({ stack: webOnly });
    const state = join(project.root, '.memt');
    const tried = await withSmallDisk(state, 65_536, async () => {
      spawnSync('sh', ['-c', 'head -c 200000 /dev/zero > fill'], { cwd: state });
      const run = await project.memt(['up']);
      expect(run.code).toBe(69);
      expect(message(run.stderr, project)).toMatchSnapshot();
      expect(normalise(run.stderr, project)).toMatch(/<root>\/\.memt.*the disk is full/);
      rmSync(join(state, 'fill'));
    });
    if (!tried) {
      console.warn('SKIPPED: no right to mount a small disk here');
      context.skip();
    }
  });

  it('while it runs: the engine refuses, nothing acknowledged is lost, down still works', async (context) => {
    const app = `import { MongoClient } from 'mongodb';
const client = new MongoClient(process.env.MONGODB_URI, { serverSelectionTimeoutMS: 2000 });
export default async (req, res) => {
  try {
    if (req.method === 'POST') await client.db().collection('x').insertOne({ blob: 'x'.repeat(100_000) });
    res.end(String(await client.db().collection('x').countDocuments()));
  } catch (error) {
    res.statusCode = 507;
    res.end(error.message);
  }
};
`;
    await using project = await TestProject.create({
      stack: (ports) => ({ web: { app: './app.js', port: ports.web, workers: 1 }, mongodb: { port: ports.mongodb } }),
      files: { 'app.js': app },
    });
    project.linkPackage('mongodb');
    const tried = await withSmallDisk(join(project.root, '.memt/data'), 4_000_000, async () => {
      expect((await project.memt(['up'])).code).toBe(0);
      const url = `http://127.0.0.1:${project.ports.web}/`;
      let acknowledged = 0;
      let refused = '';
      for (let n = 0; n < 100 && refused === ''; n += 1) {
        const answer = await fetch(url, { method: 'POST' });
        if (answer.status === 200) acknowledged += 1;
        else refused = await answer.text();
      }
      expect(refused).not.toBe('');
      expect(acknowledged).toBeGreaterThan(5);
      expect(Number(await (await fetch(url)).text())).toBeGreaterThanOrEqual(acknowledged);
      expect((await project.memt(['down'])).code).toBe(0);
    });
    if (!tried) {
      console.warn('SKIPPED: no right to mount a small disk here');
      context.skip();
    }
  });

  it('of the state folder while it runs: status still sees, down still stops', async (context) => {
    await using project = await TestProject.create({ stack: webOnly });
    const state = join(project.root, '.memt');
    const tried = await withSmallDisk(state, 3_000_000, async () => {
      expect((await project.memt(['up'])).code).toBe(0);
      spawnSync('sh', ['-c', 'head -c 9000000 /dev/zero > fill'], { cwd: state });
      expect((await fetch(`http://127.0.0.1:${project.ports.web}/`)).status).toBe(200);
      expect((await project.memt(['status'])).code).toBe(0);
      const down = await project.memt(['down']);
      expect(down.stderr).toBe('');
      expect(down.code).toBe(0);
    });
    if (!tried) {
      console.warn('SKIPPED: no right to mount a small disk here');
      context.skip();
    }
  });
});

describe('the real RabbitMQ of this machine', () => {
  const installed = existsSync('/usr/lib/rabbitmq/bin/rabbitmq-server');
  it('is required where CI runs', () => {
    expect(installed || process.env['CI'] !== 'true').toBe(true);
    if (!installed) console.warn('SKIPPED: 2 tests of the real RabbitMQ, it is not installed here');
  });

  it.skipIf(!installed)(
    'runs under the whole stack and leaves no error line, no epmd, nothing',
    async () => {
      await using project = await TestProject.create({ engines: 'installed' });
      const up = await project.memt(['up'], { deadlineMs: 120_000 });
      expect(up.stderr).toBe('');
      expect(up.code).toBe(0);
      expect(up.stdout).toMatch(/ok rabbitmq +3\.\d+\.\d+ .*rabbitmq\/bin, pid \d+/);
      expect(up.stdout).toContain(`RabbitMQ http://localhost:${project.ports.management} (guest/guest)`);
      const down = await project.memt(['down'], { deadlineMs: 60_000 });
      expect(down.stdout).toContain('its management plugin takes 5 s to stop');
      expect(down.code).toBe(0);
      expect((await project.memt(['logs', '--level', 'error'])).stdout).toBe('');
    },
    200_000,
  );

  it.skipIf(!installed || !LONG)(
    'comes back after kill -9',
    async () => {
      await using project = await TestProject.create({
        engines: 'installed',
        stack: (ports) => ({ rabbitmq: { port: ports.rabbitmq, managementPort: false } }),
      });
      expect((await project.memt(['up'], { deadlineMs: 120_000 })).code).toBe(0);
      const pidOf = async (): Promise<number | undefined> => {
        const report = JSON.parse((await project.memt(['status', '--json'])).stdout) as {
          state: string;
          units: { instances: { pid: number }[] }[];
        };
        return report.state === 'healthy' ? report.units[0]?.instances[0]?.pid : undefined;
      };
      const before = await pidOf();
      process.kill(before ?? 0, 'SIGKILL');
      const end = Date.now() + 60_000;
      let after: number | undefined;
      while ((after === undefined || after === before) && Date.now() < end) after = await pidOf();
      expect(after).toBeGreaterThan(0);
      expect(after).not.toBe(before);
      expect((await project.memt(['down'])).code).toBe(0);
    },
    200_000,
  );
});
