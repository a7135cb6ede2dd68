import { EventEmitter } from 'node:events';
import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Failure } from '../model/failure.js';
import { MEMT_ENV } from '../model/launch.js';
import { sleep } from '../util/deadline.js';
import { unreachable } from '../util/unreachable.js';
import { INSTANCE_MARK } from './boot.js';
import { exitFailure, timeoutFailure, type Exit } from './explain.js';
import { lastWords } from './last-words.js';
import { isOurs, type FromInstance, type ToInstance } from './message.js';
import { hostHeader, probeHttp } from './probe.js';

export type Phase = 'warming' | 'loading' | 'healthy' | 'draining' | 'gone';

export interface ForkOptions {
  /** `web.0` */
  readonly id: string;
  readonly entry: string;
  readonly runDir: string;
  readonly logDir: string;
}

export interface RaiseOptions {
  readonly host: string;
  readonly port: number;
  /** Import the application only then. */
  readonly gate: Promise<void>;
  /** Called when it is proven: take the shared port only then. */
  readonly mayListen: (instance: InstanceProcess) => Promise<unknown>;
  /** From the gate to the proof, ms. */
  readonly bootTimeoutMs: number;
}

const PROBE_RETRY_MS = 100;
/** A process that is told to end before it serves has nothing to finish, ms. */
const KILL_AFTER_MS = 1000;

/** One forked instance, seen from the primary. */
export class InstanceProcess {
  readonly id: string;
  readonly pid: number;
  readonly startedAt = Date.now();
  readonly exited: Promise<Exit>;
  phase: Phase = 'warming';
  /** What it does, for messages; since when, ms of performance.now(). */
  doing = 'starting';
  doingSince = performance.now();
  served = 0;
  inFlight = 0;
  drained: { readonly finished: number; readonly cut: number } | null = null;
  /** Why it ended or will end. */
  failure: Failure | null = null;
  readonly #worker: Worker;
  readonly #options: ForkOptions;
  readonly #heard = new EventEmitter();
  readonly #gone: Promise<Failure>;
  /** Settles when the application has answered, before anybody else can reach it. */
  readonly #proven: { readonly done: Promise<void>; resolve: () => void };

  constructor(options: ForkOptions) {
    this.#options = options;
    this.id = options.id;
    cluster.setupPrimary({ exec: options.entry, args: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#worker = cluster.fork({ [MEMT_ENV.instance]: options.id, [INSTANCE_MARK]: options.runDir });
    this.pid = this.#worker.process.pid ?? 0;
    this.#worker.on('message', (message: unknown) => {
      if (isOurs(message)) this.#hear(message as FromInstance);
    });
    // A channel that breaks while a message is on its way: the exit that follows is what counts.
    this.#worker.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      this.#worker.once('exit', (code: number | null, signal: string | null) =>
        resolve({ code, signal: signal as NodeJS.Signals | null }),
      );
    });
    this.#gone = this.exited.then((exit) => {
      const doing = this.doing;
      this.phase = 'gone';
      return (this.failure ??= exitFailure(this.id, exit, doing, lastWords(options.logDir, this.id, this.pid)));
    });
    let resolve: () => void = () => undefined;
    const done = new Promise<void>((settle) => (resolve = settle));
    this.#proven = { done, resolve };
  }

  /** True once the application has answered, false when it died before. */
  get proven(): Promise<boolean> {
    return Promise.race([this.#proven.done.then(() => true), this.#gone.then(() => false)]);
  }

  /** Leads it from the gate to its first answer. @returns null when healthy, else why not; it is killed then */
  async raise(options: RaiseOptions): Promise<Failure | null> {
    const failure = await Promise.race([this.#gone, this.#climb(options)]);
    if (failure) {
      this.failure ??= failure;
      this.kill();
    }
    return failure;
  }

  async #climb(options: RaiseOptions): Promise<Failure | null> {
    const { bootTimeoutMs } = options;
    const cold = await this.#inTime(
      bootTimeoutMs,
      this.#next('warm').then(() => null),
    );
    if (cold) return cold;
    this.#does('waiting for what it depends on');
    await options.gate;
    return this.#inTime(bootTimeoutMs, this.#serve(options));
  }

  async #inTime(ms: number, work: Promise<Failure | null>): Promise<Failure | null> {
    const done = new AbortController();
    const late = sleep(ms, done.signal).then(
      () => timeoutFailure(this.id, this.doing, ms),
      () => null,
    );
    try {
      return await Promise.race([late, work]);
    } finally {
      done.abort();
    }
  }

  async #serve({ host, port, mayListen }: RaiseOptions): Promise<Failure | null> {
    this.phase = 'loading';
    this.send({ memt: 'load' });
    const where = await this.#next('loaded');
    if (where.memt !== 'loaded') return null;
    this.#does('waiting for its answer to GET /');
    while (!(await this.#answers(where.probePort, where.secure, hostHeader(host, port)))) await sleep(PROBE_RETRY_MS);
    this.#proven.resolve();
    this.#does('waiting for the port');
    await mayListen(this);
    this.send({ memt: 'listen' });
    await this.#next('listening');
    this.phase = 'healthy';
    this.#does('serving');
    return null;
  }

  async #answers(port: number, secure: boolean, host: string): Promise<boolean> {
    const probe = await probeHttp({ host: '127.0.0.1', port, hostHeader: host, secure, timeoutMs: 60_000 });
    // Dead, or leaving on its own: the exit tells the rest.
    if (this.phase !== 'loading') await this.#gone;
    switch (probe.kind) {
      case 'answer':
        return true;
      case 'broken':
        this.#does(`waiting for its answer to GET / (${probe.reason})`);
        return false;
      case 'refused':
      case 'silent':
        return false;
      default:
        return unreachable(probe);
    }
  }

  /** Asks it to finish what it has and to leave; resolves when no new request can reach it. */
  drain(lingerMs: number, graceMs: number): Promise<unknown> {
    const closed = Promise.race([this.#next('closed'), this.exited]);
    this.#drain(lingerMs, graceMs);
    return closed;
  }

  #drain(lingerMs: number, graceMs: number): void {
    if (this.phase === 'gone') return;
    if (this.phase === 'warming' || this.phase === 'loading') {
      this.kill();
      return;
    }
    this.phase = 'draining';
    this.#does('draining');
    this.send({ memt: 'drain', lingerMs, graceMs });
  }

  /** Ends it: politely before it serves (its application may hold files), then for sure. */
  kill(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): void {
    if (this.phase === 'gone') return;
    if (this.phase !== 'draining') this.phase = 'draining';
    this.#worker.process.kill(signal);
    if (signal === 'SIGKILL') return;
    const timer = setTimeout(() => this.#worker.process.kill('SIGKILL'), KILL_AFTER_MS);
    void this.exited.then(() => clearTimeout(timer));
  }

  send(message: ToInstance): void {
    if (this.#worker.isConnected()) this.#worker.send(message, undefined, () => undefined);
  }

  /** Fresh counters, if it answers within `ms`: a blocked instance keeps its last ones. */
  async report(ms: number): Promise<void> {
    if (this.phase !== 'healthy' && this.phase !== 'draining') return;
    const answered = this.#next('stats');
    this.send({ memt: 'report' });
    const late = new AbortController();
    await Promise.race([answered, this.exited, sleep(ms, late.signal).catch(() => undefined)]);
    late.abort();
  }

  #next(kind: FromInstance['memt']): Promise<FromInstance> {
    return new Promise((resolve) => this.#heard.once(kind, resolve));
  }

  #does(text: string): void {
    this.doing = text;
    this.doingSince = performance.now();
  }

  #hear(message: FromInstance): void {
    switch (message.memt) {
      case 'doing':
        this.#does(message.text);
        break;
      case 'stats':
        this.served = message.served;
        this.inFlight = message.inFlight;
        break;
      case 'failed':
        this.failure = { ...message.failure };
        break;
      case 'crashed':
        this.phase = 'draining';
        break;
      case 'drained':
        this.served = message.served;
        this.inFlight = 0;
        this.drained = { finished: message.finished, cut: message.cut };
        break;
      case 'warm':
      case 'closed':
      case 'loaded':
      case 'listening':
        break;
      default:
        unreachable(message);
    }
    this.#heard.emit(message.memt, message);
  }
}

/** The compiled entry that is forked, beside the primary's own. */
export function instanceEntry(mainUrl: string): string {
  return fileURLToPath(new URL('./instance.js', mainUrl));
}
