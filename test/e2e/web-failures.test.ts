import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { message, normalise } from '../rig/normalise.js';
import { TestProject, type ProjectPorts } from '../rig/project.js';

const webOnly = (ports: ProjectPorts): unknown => ({ web: { app: './app.js', port: ports.web, workers: 2 } });

/** Brings a web tier up that cannot come up; gives what the user reads, and checks that nothing is left. */
async function failed(
  files: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<{ code: number | null; text: string }> {
  await using project = await TestProject.create({ stack: webOnly, files });
  const run = await project.memt(['up', ...args]);
  expect(message(run.stderr, project)).toMatchSnapshot();
  const status = await project.memt(['status']);
  expect(status.code).toBe(3);
  return { code: run.code, text: normalise(run.stderr, project) };
}

describe('a web entry that cannot serve ends in one message, exit 69, and nothing left', () => {
  it('throws at import: the place and the reason', async () => {
    const { code, text } = await failed({
      'app.js': "const host = undefined;\nthrow new TypeError('DB_HOST is not set');\nexport default () => host;\n",
    });
    expect(code).toBe(69);
    expect(text).toContain('web failed: app.js throws when it is loaded: TypeError: DB_HOST is not set (app.js:2).');
    expect(text).toContain('Rolled back: web.');
  });

  it('has a syntax error: the line', async () => {
    const { code, text } = await failed({ 'app.js': 'export default (req, res) => {\n  res.end("x";\n};\n' });
    expect(code).toBe(69);
    expect(text).toMatch(/web failed: app\.js throws when it is loaded: SyntaxError: .*\(app\.js:2\)/);
  });

  it('imports what is not installed: the name', async () => {
    const { code, text } = await failed({ 'app.js': "import 'expresss';\nexport default () => 0;\n" });
    expect(code).toBe(69);
    expect(text).toContain('expresss');
  });

  it('exports no application: what it exports and what is accepted', async () => {
    const { code, text } = await failed({ 'app.js': 'export const config = { a: 1 };\n' });
    expect(code).toBe(69);
    expect(text).toMatchInlineSnapshot(`
      "web failed: app.js exports no application: it exports config (an object with key a). Accepted is a (req, res) function, an Express, Koa or Fastify application, an object with fetch(request), or an http.Server. Export it as default or as app, or name the export: web.app: './file.js:name'. Rolled back: web.
          given up: app.js exports no application: it exports config (an object with key a)
      "
    `);
  });

  it('never finishes its import: how far it came', async () => {
    const { code, text } = await failed(
      { 'app.js': 'await new Promise(() => setInterval(() => 0, 1000));\nexport default () => 0;\n' },
      ['--timeout', '2s'],
    );
    expect(code).toBe(69);
    expect(text).toMatch(/web failed: 0\/2 answering after 2 s: .*importing app\.js/);
    expect(text).toContain('memt up --timeout 120s');
  });

  it('crashes right after it was ready: the exit code and its last words', async () => {
    const { code, text } = await failed({
      'app.js':
        "setTimeout(() => { console.error('config reload failed'); process.exit(3); }, 120);\nexport default (req, res) => res.end('x');\n",
    });
    expect(code).toBe(69);
    expect(text).toMatch(/web failed: web\.\d exited with code 3/);
    expect(text).toContain('config reload failed');
  });
});

describe('a file that is not there', () => {
  it('is a problem of the config, exit 78', async () => {
    await using project = await TestProject.create({
      stack: (ports) => ({ web: { app: './servr.js', port: ports.web } }),
    });
    const run = await project.memt(['up']);
    expect(run.code).toBe(78);
    expect(message(run.stderr, project)).toMatchSnapshot();
    expect(normalise(run.stderr, project)).toContain('web.app: no file <root>/servr.js');
  });
});

describe('a taken web port', () => {
  it('names its holder and the way out', async () => {
    await using project = await TestProject.create({ stack: webOnly });
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(project.ports.web, '127.0.0.1', resolve));
    const run = await project.memt(['up']);
    await new Promise((resolve) => holder.close(resolve));
    expect(run.code).toBe(69);
    expect(message(run.stderr, project)).toMatchSnapshot();
    expect(normalise(run.stderr, project)).toMatch(
      /^web failed: 127\.0\.0\.1:<web> is held by .*\(pid N, user U.*\)\. Stop it, or: memt up --port <mongodb>\.\n$/,
    );
    expect(run.stdout).not.toContain('rolling back');
  });

  it('by another memt project leaves that project alone', async () => {
    await using first = await TestProject.create({ stack: webOnly });
    await using second = await TestProject.create({
      stack: () => ({ web: { app: './app.js', port: first.ports.web, workers: 1 } }),
    });
    expect((await first.memt(['up'])).code).toBe(0);
    const run = await second.memt(['up']);
    expect(run.code).toBe(69);
    expect(run.stderr).toMatch(/is held by node \(pid \d+/);
    expect((await first.memt(['status'])).code).toBe(0);
    expect((await first.memt(['down'])).code).toBe(0);
  });
});
