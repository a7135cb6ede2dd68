import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '../../src/host/ports.js';
import { packageRoot } from '../../src/util/entries.js';
import { layoutOf, type Layout } from '../../src/util/layout.js';
import { FakeEngines } from './fake-engines.js';
import { collectLeaks } from './leaks.js';
import { MemtProcess, type Run } from './memt-process.js';

export interface ProjectPorts {
  readonly web: number;
  readonly mongodb: number;
  readonly rabbitmq: number;
  readonly management: number;
}

export interface ProjectOptions {
  /** Path below the temporary folder, for long ones or ones with spaces. Default `app`. */
  readonly path?: string;
  /**
   * Which real engines can be found: `none` (the embedded ones run), `fake` (scripted programs), `installed` (those of this machine).
   * Default none.
   */
  readonly engines?: 'none' | 'fake' | 'installed';
  /** The argument of defineStack. Default: one web instance, one worker, both engines, on the project's own ports. */
  readonly stack?: (ports: ProjectPorts) => unknown;
  /** More files, or others in place of the defaults, by path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

const APP = `export default (request, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end(\`\${request.method} \${request.url} from \${process.pid}\\n\`);
};
`;
const TASKS = `import { createApp } from 'memt';
export const tasks = createApp();
export const add = tasks.task('add', (numbers) => numbers[0] + numbers[1]);
`;

/** Ports below the ephemeral range; each test process starts at another place, so that parallel files do not meet. */
let nextPort = 10_000 + (process.pid % 400) * 20;

/**
 * A project in a temporary folder with ports of its own. At the end (`await using`) it must have left nothing behind: a process, a held
 * port or a runtime folder that is still there fails the test, and is cleaned up.
 */
export class TestProject implements AsyncDisposable {
  readonly layout: Layout;
  readonly #running = new Set<MemtProcess>();

  private constructor(
    /** Temporary folder around the project; also its HOME. */
    readonly home: string,
    readonly root: string,
    readonly ports: ProjectPorts,
    /** Set with `engines: 'fake'`. */
    readonly fakes: FakeEngines | null,
    readonly env: Readonly<Record<string, string>>,
  ) {
    this.layout = layoutOf(root);
  }

  static async create(options: ProjectOptions = {}): Promise<TestProject> {
    const { engines = 'none' } = options;
    const home = mkdtempSync(join(tmpdir(), 'memt-e2e-'));
    const root = join(home, options.path ?? 'app');
    mkdirSync(join(root, 'node_modules'), { recursive: true });
    symlinkSync(packageRoot, join(root, 'node_modules/memt'));
    const ports = await takePorts();
    const fakes = engines === 'fake' ? await FakeEngines.create() : null;
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      LANG: 'C.UTF-8',
      ...(engines === 'installed' ? {} : { MEMT_ENGINE_PATH: fakes?.binDir ?? '' }),
      ...options.env,
    };
    const project = new TestProject(home, root, ports, fakes, env);
    const stack = options.stack?.(ports) ?? defaultStack(ports);
    const files = {
      'package.json': '{ "name": "app", "private": true, "type": "module" }\n',
      'ecosystem.config.js': `import { defineStack } from 'memt/config';\n\nexport const { apps, memt } = defineStack(${JSON.stringify(stack, null, 2)});\n`,
      'app.js': APP,
      'tasks.js': TASKS,
      ...options.files,
    };
    for (const [path, content] of Object.entries(files)) project.write(path, content);
    return project;
  }

  write(path: string, content: string): void {
    const file = join(this.root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }

  /** Makes one of memt's own dependencies importable for the application. */
  linkPackage(name: string): void {
    symlinkSync(join(packageRoot, 'node_modules', name), join(this.root, 'node_modules', name));
  }

  /** The text of a file below the project; empty when it is missing. */
  read(path: string): string {
    const file = join(this.root, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Runs memt to its end. */
  memt(
    args: readonly string[],
    options: {
      readonly env?: Readonly<Record<string, string>>;
      readonly cwd?: string;
      readonly deadlineMs?: number;
    } = {},
  ): Promise<Run> {
    return this.start(args, options).done;
  }

  /** Starts memt, for tests that watch or signal it. */
  start(
    args: readonly string[],
    options: {
      readonly env?: Readonly<Record<string, string>>;
      readonly cwd?: string;
      readonly deadlineMs?: number;
    } = {},
  ): MemtProcess {
    const running = new MemtProcess(args, {
      cwd: options.cwd ?? this.root,
      env: { ...this.env, ...options.env },
      ...(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs }),
    });
    this.#running.add(running);
    const forget = (): void => void this.#running.delete(running);
    running.done.then(forget, forget);
    return running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const hanging = [...this.#running];
    for (const running of hanging) running.kill('SIGKILL');
    await Promise.allSettled(hanging.map(({ done }) => done));
    const leaks = [
      ...hanging.map(({ args }) => `memt ${args.join(' ')} was still running`),
      ...(await collectLeaks(this.layout, Object.values(this.ports))),
    ];
    await this.fakes?.[Symbol.asyncDispose]();
    // A test may have taken the right to write away.
    chmodSync(this.root, 0o755);
    rmSync(this.home, { recursive: true, force: true, maxRetries: 3 });
    if (leaks.length > 0) throw new Error(`the test has left behind:\n  ${leaks.join('\n  ')}`);
  }
}

function defaultStack(ports: ProjectPorts): unknown {
  return {
    web: { app: './app.js', port: ports.web, workers: 1 },
    worker: { tasks: './tasks.js', processes: 1 },
    mongodb: { port: ports.mongodb },
    rabbitmq: { port: ports.rabbitmq, managementPort: ports.management },
  };
}

async function takePorts(): Promise<ProjectPorts> {
  const take = async (): Promise<number> => {
    const port = await freePort(nextPort);
    nextPort = port + 1 >= 18_000 ? 10_000 : port + 1;
    return port;
  };
  return { web: await take(), mongodb: await take(), rabbitmq: await take(), management: await take() };
}
