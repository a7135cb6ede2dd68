import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { once } from 'node:events';
import { ask, type ControlAnswer } from '../../src/control/client.js';
import { freePort } from '../../src/host/ports.js';
import { pidsWithEnv } from '../../src/host/proc.js';
import type { Launch } from '../../src/model/launch.js';
import type { Json, LogRecord } from '../../src/model/record.js';
import type { WebSettings } from '../../src/model/settings.js';
import type { ChildStatus } from '../../src/model/status.js';
import { poll } from '../../src/util/deadline.js';
import { packageRoot } from '../../src/util/entries.js';
import { layoutOf, type Layout } from '../../src/util/layout.js';

let compiledRoot: string | undefined;

/** Folder of the compiled services: the repository's dist when it is up to date, else a build of its own. */
export function compiled(): string {
  if (compiledRoot !== undefined) return compiledRoot;
  const newest = Math.max(...['src', 'services'].map((room) => newestUnder(join(packageRoot, room))));
  const info = statSync(join(packageRoot, 'dist/.tsbuildinfo'), { throwIfNoEntry: false });
  if (info && info.mtimeMs >= newest && existsSync(join(packageRoot, 'dist/services/web/main.js'))) {
    return (compiledRoot = join(packageRoot, 'dist'));
  }
  const out = mkdtempSync(join(tmpdir(), 'memt-build-'));
  process.on('exit', () => rmSync(out, { recursive: true, force: true }));
  for (const name of ['node_modules', 'package.json']) symlinkSync(join(packageRoot, name), join(out, name));
  spawnSync(process.execPath, [
    join(packageRoot, 'node_modules/typescript/bin/tsc'),
    '-p',
    packageRoot,
    '--outDir',
    join(out, 'dist'),
    '--incremental',
    'false',
  ]);
  if (!existsSync(join(out, 'dist/services/web/main.js'))) throw new Error('the build gave no web service');
  return (compiledRoot = join(out, 'dist'));
}

function newestUnder(folder: string): number {
  return Math.max(
    0,
    ...readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) =>
      name.endsWith('.ts') && !name.endsWith('.test.ts') ? statSync(join(folder, name)).mtimeMs : 0,
    ),
  );
}

export const HELLO = `export default (request, response) => {
  const wait = /^\\/slow\\/(\\d+)/.exec(request.url)?.[1];
  if (wait) setTimeout(() => response.end('slow ' + process.pid), Number(wait));
  else response.end('hello ' + process.pid);
};`;

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly connection: string | undefined;
}

/** A project folder with a web server that the test starts as PM2 would. */
export class WebProject {
  readonly root = mkdtempSync(join(tmpdir(), 'memt-web-'));
  readonly layout: Layout = layoutOf(this.root);
  readonly #children: ChildProcess[] = [];
  port = 0;

  static async create(files: Record<string, string>, settings: Partial<WebSettings> = {}): Promise<WebProject> {
    const project = new WebProject();
    project.port = settings.port ?? (await freePort(20_000 + Math.floor(Math.random() * 10_000)));
    project.write(files);
    project.configure(settings);
    project.openGate();
    return project;
  }

  write(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.root, name)), { recursive: true });
      writeFileSync(join(this.root, name), text);
    }
  }

  configure(settings: Partial<WebSettings> & { readonly env?: Record<string, string> }): void {
    const { env, ...web } = settings;
    const launch: Launch = {
      schema: 1,
      project: 'test',
      root: this.root,
      environment: 'local',
      unit: 'web',
      env: { ...env },
      umask: 0o022,
      settingsDigest: 'digest',
      engines: { mongodb: null, rabbitmq: null },
      settings: {
        app: join(this.root, 'app.mjs'),
        exportName: null,
        host: '127.0.0.1',
        port: this.port,
        workers: 2,
        workersReason: '2',
        timeoutMs: 0,
        gracefulTimeoutMs: 5000,
        backlog: 511,
        ...web,
      } satisfies WebSettings,
    };
    mkdirSync(this.layout.launchDir, { recursive: true });
    writeFileSync(join(this.layout.launchDir, 'web.json'), JSON.stringify(launch));
  }

  openGate(): void {
    mkdirSync(this.layout.gateDir, { recursive: true });
    writeFileSync(join(this.layout.gateDir, 'web'), '');
  }

  closeGate(): void {
    rmSync(join(this.layout.gateDir, 'web'), { force: true });
  }

  /** Starts a primary; its output goes to a pipe, as under PM2. */
  start(): ChildProcess {
    const child = spawn(process.execPath, [join(compiled(), 'services/web/main.js')], {
      cwd: this.root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        MEMT_RUN_DIR: this.layout.runDir,
        MEMT_LAUNCH: join(this.layout.launchDir, 'web.json'),
        MEMT_INSTANCE: 'web',
      },
    });
    this.#children.push(child);
    return child;
  }

  ask(op: string, args: Record<string, Json> = {}, timeoutMs = 20_000): Promise<ControlAnswer> {
    return ask(join(this.layout.socketDir, 'web.sock'), op, args, timeoutMs);
  }

  /** The answer of a control operation that must succeed. */
  async tell<T>(op: string, args: Record<string, Json> = {}): Promise<T> {
    const answer = await this.ask(op, args);
    if (answer.kind !== 'answer') throw new Error(`${op}: ${JSON.stringify(answer)}`);
    return answer.value as T;
  }

  async status(): Promise<ChildStatus | null> {
    const answer = await this.ask('status', { fresh: true }, 1000);
    return answer.kind === 'answer' ? (answer.value as unknown as ChildStatus) : null;
  }

  until(what: string, holds: (status: ChildStatus) => boolean, ms = 20_000): Promise<ChildStatus> {
    let last: ChildStatus | null = null;
    return poll(
      async () => {
        last = await this.status();
        return last && holds(last) ? last : undefined;
      },
      { everyMs: 10, ms, what },
    ).catch((error: unknown) => {
      throw new Error(
        `${String(error)}; last status ${JSON.stringify(last)}; log ${JSON.stringify(this.log().slice(-8))}`,
      );
    });
  }

  healthy(): Promise<ChildStatus> {
    return this.until('healthy', (status) => status.state === 'healthy');
  }

  get(path = '/', agent?: Agent): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const call = request(
        { host: '127.0.0.1', port: this.port, path, agent: agent ?? false, timeout: 15_000 },
        (response) => {
          let body = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (body += chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body, connection: response.headers.connection }),
          );
          response.on('error', reject);
          response.on('aborted', () => reject(new Error('aborted')));
        },
      );
      call.on('timeout', () => call.destroy(new Error('timeout')));
      call.on('error', reject);
      call.end();
    });
  }

  /** Every record of every instance and the primary, unordered. */
  log(): LogRecord[] {
    if (!existsSync(this.layout.logDir)) return [];
    const files = readdirSync(this.layout.logDir).filter((name) => name.endsWith('.ndjson'));
    return files.flatMap((name) =>
      readFileSync(join(this.layout.logDir, name), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as LogRecord),
    );
  }

  /** Pids of all processes of this project. */
  pids(): number[] {
    return pidsWithEnv('MEMT_RUN_DIR', this.layout.runDir);
  }

  /** Ends everything; throws when a process had to be killed although all primaries were asked to stop. */
  async dispose(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, 'exit');
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), 8000);
        await exit;
        clearTimeout(timer);
      }
    }
    const left = await poll(() => (this.pids().length === 0 ? [] : undefined), {
      everyMs: 20,
      ms: 2000,
      what: 'end',
    }).catch(() => this.pids());
    for (const pid of left) process.kill(pid, 'SIGKILL');
    rmSync(this.root, { recursive: true, force: true });
    rmSync(dirname(this.layout.socketDir), { recursive: true, force: true });
    if (left.length > 0) throw new Error(`${left.length} processes were left over`);
  }
}

/** Clients that ask without a pause until they are stopped; half of them keep their connection. */
export class Load {
  answered = 0;
  readonly failures: { readonly at: number; readonly code: string }[] = [];
  readonly bodies = new Set<string>();
  #stopped = false;
  readonly #done: Promise<unknown>;

  constructor(project: WebProject, clients: number, path = '/') {
    this.#done = Promise.all(
      Array.from({ length: clients }, (_, index) => this.#client(project, path, index % 2 === 0)),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #client(project: WebProject, path: string, keepAlive: boolean): Promise<void> {
    const agent = new Agent({ keepAlive, maxSockets: 1 });
    while (!this.#stopped) {
      try {
        this.bodies.add((await project.get(path, agent)).body);
        this.answered += 1;
      } catch (error) {
        this.failures.push({ at: performance.now(), code: (error as NodeJS.ErrnoException).code ?? String(error) });
        // A refused connection must not make the client a busy loop.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    agent.destroy();
  }
}

export function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  if (child.exitCode !== null || child.signalCode !== null)
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
}
