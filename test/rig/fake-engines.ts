import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { DeadlineError } from '../../src/util/deadline.js';
import { packageRoot } from '../../src/util/entries.js';
import type { Behaviour, FakeCommand, FakeEvent, Invocation } from './behaviour.js';
import { compileSources } from './compile.js';

const WAIT_MS = 20_000;

const ROOMS = ['test/rig/fakes', 'services', 'src'];
const CACHE = join(packageRoot, 'node_modules/.cache/memt-fakes');
const STALE_MS = 3_600_000;

/** The programs and what they import, compiled once for every state of the sources and shared by all test processes. */
function compiledFakes(): string {
  const state = createHash('sha256');
  for (const room of ROOMS) {
    for (const name of readdirSync(join(packageRoot, room), { recursive: true, encoding: 'utf8' }).sort()) {
      if (name.endsWith('.ts')) state.update(`${room}/${name} ${statSync(join(packageRoot, room, name)).mtimeMs}\n`);
    }
  }
  const folder = join(CACHE, state.digest('hex').slice(0, 16));
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  for (const name of readdirSync(CACHE)) {
    const old = statSync(join(CACHE, name), { throwIfNoEntry: false });
    if (old && Date.now() - old.mtimeMs > STALE_MS) rmSync(join(CACHE, name), { recursive: true, force: true });
  }
  const fresh = compileSources(mkdtempSync(join(CACHE, 'new-')), ROOMS);
  try {
    renameSync(fresh, folder);
  } catch (error) {
    // Another process was faster: its folder holds the same.
    if (!existsSync(folder)) throw error;
    rmSync(fresh, { recursive: true, force: true });
  }
  return folder;
}

/** One run of a fake program, seen from the test. */
export class FakeRun {
  readonly events: FakeEvent[] = [];
  /** Settles when the process has ended. */
  readonly ended: Promise<void>;
  #wake: () => void = () => undefined;

  constructor(
    readonly invocation: Invocation,
    private readonly line: Socket,
    private readonly notify: () => void,
  ) {
    this.ended = new Promise((resolve) => line.once('close', () => resolve()));
  }

  record(event: FakeEvent): void {
    this.events.push(event);
    this.#wake();
    this.notify();
  }

  behave(behaviour: Behaviour): void {
    this.#send({ op: 'behave', behaviour });
  }

  /** Makes it end now: with an exit code, or by a signal to itself. */
  die(how: { readonly code?: number; readonly signal?: NodeJS.Signals } = {}): void {
    this.#send({ op: 'die', ...how });
  }

  async until(event: FakeEvent['event']): Promise<void> {
    const end = performance.now() + WAIT_MS;
    while (!this.events.some((one) => one.event === event)) {
      const left = end - performance.now();
      if (left <= 0) throw new DeadlineError(`${this.invocation.program}: ${event}`, WAIT_MS);
      await changed(left, (wake) => (this.#wake = wake));
    }
  }

  #send(command: FakeCommand): void {
    this.line.write(`${JSON.stringify(command)}\n`);
  }
}

/** Resolves when woken or after `ms`. */
function changed(ms: number, arm: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    arm(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * Fake `mongod` and `rabbitmq-server` programs in a folder of their own, to be put into MEMT_ENGINE_PATH. Each run dials the
 * test, which decides what it does; all of them end with the test.
 *
 *     memt up --spawns--> <binDir>/mongod --dials--> this socket --behaviour--> mongod listens, hangs, dies, …
 */
export class FakeEngines implements AsyncDisposable {
  readonly runs: FakeRun[] = [];
  #behaviour: Partial<Record<Invocation['program'], Behaviour>> = {};
  #wake: () => void = () => undefined;
  readonly #sockets = new Set<Socket>();

  private constructor(
    readonly folder: string,
    readonly binDir: string,
    private readonly server: Server,
  ) {
    server.on('connection', (socket) => this.#enlist(socket));
  }

  static async create(
    programs: readonly Invocation['program'][] = ['mongod', 'rabbitmq-server'],
  ): Promise<FakeEngines> {
    const folder = mkdtempSync(join(tmpdir(), 'memt-fake-'));
    const code = compiledFakes();
    const binDir = join(folder, 'bin');
    mkdirSync(binDir);
    const socket = join(folder, 'line.sock');
    for (const program of programs) {
      const module = pathToFileURL(join(code, `test/rig/fakes/${program}.js`)).href;
      const setup = JSON.stringify({ socket, program });
      writeFileSync(
        join(binDir, program),
        `#!${process.execPath}\nimport('${module}').then(({ main }) => main(${setup}));\n`,
        { mode: 0o755 },
      );
    }
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    return new FakeEngines(folder, binDir, server);
  }

  /** What the next runs of `program` do; those that run already are told, too. */
  script(program: Invocation['program'], behaviour: Behaviour): void {
    this.#behaviour[program] = behaviour;
    for (const run of this.runs) if (run.invocation.program === program) run.behave(behaviour);
  }

  /** The `count`-th run of `program` (from 1), waiting for it. */
  async run(program: Invocation['program'], count = 1): Promise<FakeRun> {
    const end = performance.now() + WAIT_MS;
    for (;;) {
      const run = this.runs.filter(({ invocation }) => invocation.program === program)[count - 1];
      if (run) return run;
      const left = end - performance.now();
      if (left <= 0) throw new DeadlineError(`run ${count} of ${program}`, WAIT_MS);
      await changed(left, (wake) => (this.#wake = wake));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #enlist(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let run: FakeRun | undefined;
    const lines = createInterface({ input: socket });
    // It passes on the socket's errors, which just mean that the fake has ended.
    lines.on('error', () => socket.destroy());
    lines.on('line', (line) => {
      if (run) {
        run.record(JSON.parse(line) as FakeEvent);
        return;
      }
      run = new FakeRun(JSON.parse(line) as Invocation, socket, () => this.#wake());
      this.runs.push(run);
      run.behave(this.#behaviour[run.invocation.program] ?? {});
      this.#wake();
    });
  }
}
