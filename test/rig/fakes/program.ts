import { existsSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Behaviour, FakeCommand, FakeEvent, Invocation } from '../behaviour.js';

/** What the shim, which the rig writes, hands to a fake program. */
export interface FakeSetup {
  /** Unix socket of the test. */
  readonly socket: string;
  readonly program: Invocation['program'];
}

/** The inside of one fake: its line to the test, and what the test wants of it. */
export interface Fake {
  readonly behaviour: Behaviour;
  tell(event: FakeEvent): void;
  /** Runs before the process ends by SIGTERM or by the test's command; writes its last log lines. */
  onEnd(last: (code: number) => void): void;
  /** Call it when a client got its first healthy answer. */
  ready(): void;
}

/** Dials the test and waits for its orders. The fake ends when the test does, whatever happens. */
export async function enlist({ socket: path, program }: FakeSetup): Promise<Fake> {
  const line = connect(path);
  line.on('error', () => process.exit(70));
  line.on('close', () => process.exit(70));
  const invocation: Invocation = {
    program,
    pid: process.pid,
    args: process.argv.slice(2),
    env: process.env,
    cwd: process.cwd(),
  };
  line.write(`${JSON.stringify(invocation)}\n`);
  let behaviour: Behaviour | undefined;
  let last: (code: number) => void = () => undefined;
  let readyTold = false;
  const end = (code: number, signal?: NodeJS.Signals): void => {
    last(code);
    if (signal === undefined) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  };
  const tell = (event: FakeEvent): void => void line.write(`${JSON.stringify(event)}\n`);
  await new Promise<void>((resolve) => {
    const lines = createInterface({ input: line });
    lines.on('error', () => process.exit(70));
    lines.on('line', (text) => {
      const command = JSON.parse(text) as FakeCommand;
      if (command.op === 'die') {
        end(command.code ?? 0, command.signal);
        return;
      }
      behaviour = command.behaviour;
      resolve();
    });
  });
  process.on('SIGTERM', () => {
    tell({ event: 'signal', signal: 'SIGTERM' });
    if (behaviour?.ignoreSigterm !== true) end(0);
  });
  return {
    get behaviour() {
      return behaviour ?? {};
    },
    tell,
    onEnd: (write) => (last = write),
    ready: () => {
      if (readyTold) return;
      readyTold = true;
      tell({ event: 'ready' });
      const die = behaviour?.dieAfterReady;
      if (die) setTimeout(() => end(die.code ?? 0, die.signal), die.ms);
    },
  };
}

/** Listens as the behaviour says; `serve` speaks the protocol. Resolves when it listens, rejects with the listener's error. */
export async function listen(
  fake: Fake,
  host: string,
  port: number,
  path: string,
  serve: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    const { listen: how = 'serve' } = fake.behaviour;
    if (how === 'garbage') socket.end('SSH-2.0-Nobody expects this\r\n');
    else if (how === 'serve') serve(socket);
    else socket.resume();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: 4 }, resolve);
  });
  fake.tell({ event: 'listening', port });
  if (fake.behaviour.listen === 'no-accept') setTimeout(() => neverAccept(path), 20);
  return server;
}

/**
 * Serves a client by an engine that listens elsewhere in this process, so that the behaviours stay the fake's own.
 * `mark` are bytes that pass, in either direction, when a look at the engine is about to succeed.
 */
export function relay(client: Socket, port: number, fake: Fake, mark: Buffer): void {
  const inner = connect(port, '127.0.0.1');
  inner.on('error', () => client.destroy());
  const watch = (chunk: Buffer): void => {
    if (chunk.includes(mark)) fake.ready();
  };
  inner.on('data', watch);
  client.on('data', watch);
  client.on('close', () => inner.destroy());
  client.pipe(inner).pipe(client);
}

/** The kernel goes on taking connections into its queue; only a thread that never returns leaves them there. */
function neverAccept(path: string): void {
  process.removeAllListeners('SIGTERM');
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (existsSync(path)) Atomics.wait(cell, 0, 0, 50);
  process.exit(70);
}
