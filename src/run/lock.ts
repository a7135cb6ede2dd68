import { createServer, connect, type Server, type Socket } from 'node:net';
import type { Failure } from '../model/failure.js';
import { codeOf } from '../util/errors.js';
import { sleep } from '../util/deadline.js';

/** How the holder's work ended, told to everybody who waits. null: it succeeded. */
export type LockOutcome = Failure | null;

export interface HeldLock {
  /** Frees the lock and tells the waiters. */
  release(outcome: LockOutcome): Promise<void>;
}

export interface LockHolder {
  readonly verb: string;
  readonly pid: number;
}

/** What a waiter learned: the lock is its own, or how the holder's work ended. */
export type LockResult =
  | {
      readonly kind: 'held';
      readonly lock: HeldLock;
      /** What the last holder that we waited for ended with. */ readonly before: {
        readonly holder: LockHolder;
        readonly outcome: LockOutcome;
      } | null;
    }
  | { readonly kind: 'timeout'; readonly holder: LockHolder | null };

export interface LockOptions {
  /** From `layout.lockName`. */
  readonly name: string;
  readonly verb: string;
  /** How long to wait for it, ms; 0 = do not wait. */
  readonly waitMs: number;
  readonly signal?: AbortSignal;
  /** Called once when somebody else holds it. */
  readonly onWait?: (holder: LockHolder) => void;
  /** Somebody asks us to give up (`down` during `up`). */
  readonly onCancel?: () => void;
  /** Ask the present holder to give up. */
  readonly cancelHolder?: boolean;
}

/** How long waiters may take to read how our work ended, ms. */
const RELEASE_MS = 500;
/** How long a holder may take to say who it is, ms. */
const HELLO_MS = 300;

/** Who holds the lock right now: the verb, `?` when it does not say (it hangs), null when nobody does. */
export async function lockedBy(name: string): Promise<string | null> {
  let verb: string | null = null;
  await new Promise<void>((resolve) => {
    const socket = connect(addressOf(name));
    const timer = setTimeout(() => socket.destroy(), HELLO_MS);
    socket.once('connect', () => (verb = '?'));
    socket.once('data', (data) => {
      verb = /"verb":"([^"]*)"/.exec(String(data))?.[1] ?? '?';
      socket.destroy();
    });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return verb;
}

/** The address: abstract on Linux (the kernel frees it with its owner: nothing to go stale), a file elsewhere. */
function addressOf(name: string): string {
  return process.platform === 'linux' ? `\0${name}` : `/tmp/${name.replaceAll('/', '-')}.sock`;
}

/**
 * Takes the project's lock: a listening socket, so that waiting is a connection and the owner's death an event.
 * @throws the signal's reason when aborted
 */
export async function acquireLock(options: LockOptions): Promise<LockResult> {
  const end = performance.now() + options.waitMs;
  let before: { holder: LockHolder; outcome: LockOutcome } | null = null;
  let told = false;
  for (;;) {
    options.signal?.throwIfAborted();
    const lock = await tryListen(options);
    if (lock) return { kind: 'held', lock, before };
    const left = end - performance.now();
    const watch = await watchHolder(options, Math.max(0, left), (holder) => {
      if (!told) options.onWait?.(holder);
      told = true;
    });
    if (watch.holder && watch.outcome !== undefined) before = { holder: watch.holder, outcome: watch.outcome };
    if (performance.now() >= end) return { kind: 'timeout', holder: watch.holder };
    await sleep(10, options.signal);
  }
}

function tryListen(options: LockOptions): Promise<HeldLock | null> {
  const waiters = new Set<Socket>();
  const server: Server = createServer((socket) => {
    waiters.add(socket);
    socket.unref();
    socket.on('close', () => waiters.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => {
      if (String(data).includes('cancel')) options.onCancel?.();
    });
    socket.write(JSON.stringify({ verb: options.verb, pid: process.pid }) + '\n');
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (codeOf(error) === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen(addressOf(options.name), () => {
      server.unref();
      resolve({
        release: (outcome) =>
          new Promise((released) => {
            // A waiter that is stopped (Ctrl-Z) never closes its end: our own end must not hang on it.
            const timer = setTimeout(() => {
              for (const socket of waiters) socket.destroy();
            }, RELEASE_MS);
            server.close(() => {
              clearTimeout(timer);
              released();
            });
            // The listener is gone at once; waiters hear the outcome and race for it.
            for (const socket of waiters) socket.end(JSON.stringify({ outcome }) + '\n');
          }),
      });
    });
  });
}

function watchHolder(
  options: LockOptions,
  ms: number,
  onHolder: (holder: LockHolder) => void,
): Promise<{ holder: LockHolder | null; outcome: LockOutcome | undefined }> {
  return new Promise((resolve) => {
    const socket = connect(addressOf(options.name));
    let holder: LockHolder | null = null;
    let outcome: LockOutcome | undefined;
    let buffered = '';
    const finish = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', finish);
      socket.destroy();
      resolve({ holder, outcome });
    };
    const timer = setTimeout(finish, ms);
    options.signal?.addEventListener('abort', finish, { once: true });
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      if (options.cancelHolder) socket.write('cancel\n');
    });
    socket.on('data', (chunk: string) => {
      const lines = (buffered + chunk).split('\n');
      buffered = lines.pop() ?? '';
      for (const line of lines) {
        const message = JSON.parse(line) as { verb?: string; pid?: number; outcome?: LockOutcome };
        if (message.outcome !== undefined) outcome = message.outcome;
        else {
          holder = { verb: message.verb ?? '?', pid: message.pid ?? 0 };
          onHolder(holder);
        }
      }
    });
    socket.on('error', finish);
    socket.on('close', finish);
  });
}
