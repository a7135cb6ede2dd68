import type { Logger } from '../logs/capture.js';
import type { Failure } from '../model/failure.js';
import type { WebSettings } from '../model/settings.js';
import type { ChildStatus } from '../model/status.js';
import type { ProcessIdentity } from '../host/proc.js';
import type { Layout } from '../util/layout.js';
import { unreachable } from '../util/unreachable.js';
import { backoffMs } from './backoff.js';
import { InstanceProcess } from './instance-process.js';
import { livingInstances, releasePort, stillAlive } from './predecessors.js';
import { probeHttp, reachable } from './probe.js';
import { forgetInstance, keepRecord } from './record.js';
import { Slot } from './slot.js';
import { tierStatus } from './tier-status.js';
import { judgeStart } from './verdict.js';

export interface TierOptions {
  readonly unit: string;
  readonly layout: Layout;
  readonly log: Logger;
  /** Compiled entry of an instance. */
  readonly entry: string;
  readonly gate: Promise<void>;
  /** Reads the settings anew: the launch file may have changed. */
  readonly readSettings: () => WebSettings;
  /** A primary that still lives: it is asked to leave when the new instances are ready. */
  readonly predecessor: ProcessIdentity | null;
}

export interface StopReport {
  readonly finished: number;
  readonly cut: number;
}

/** Time for import, start and first answer, unless the settings say otherwise, ms. */
const BOOT_TIMEOUT_MS = 30_000;
/** All instances must stay healthy for so long before a start counts as a success, ms. */
const SETTLE_MS = 1000;
/** Replaced instances go on accepting for so long, ms. */
export const LINGER_MS = 300;
/** How long `status` waits for an instance's counters, ms. */
const REPORT_MS = 50;
/** Beyond the graceful timeout, for the way out itself, ms. */
const EXIT_SLACK_MS = 1500;

/** All instances of the web server: forks them, proves them, replaces the dead, gives up on what cannot start. */
export class Tier {
  settings: WebSettings;
  readonly slots: Slot[] = [];
  readonly retiring = new Set<InstanceProcess>();
  reloads = 0;
  readonly #options: TierOptions;
  readonly #healthySince = new WeakMap<InstanceProcess, number>();
  #life: 'running' | 'stopping' | 'stopped' = 'running';
  #gateOpen = false;
  #failure: Failure | null = null;
  #wasHealthy = false;
  #settled = false;
  #settleTimer: NodeJS.Timeout | undefined;
  #answered = false;
  #asking = false;
  #predecessors: readonly ProcessIdentity[] = [];
  #mayListen: Promise<void> = Promise.resolve();
  #servedBefore = 0;
  /** Died before any instance was healthy. */
  readonly #waiting = new Set<Slot>();

  constructor(options: TierOptions) {
    this.#options = options;
    this.settings = options.readSettings();
    void options.gate.then(
      () => (this.#gateOpen = true),
      () => undefined,
    );
  }

  get failure(): Failure | null {
    return this.#failure;
  }

  get running(): boolean {
    return this.#life === 'running';
  }

  get gateOpen(): boolean {
    return this.#gateOpen;
  }

  /** Forks every instance at once; they warm up and wait for the gate. Takes over from a killed primary's instances. */
  start(): void {
    this.#life = 'running';
    this.#failure = null;
    this.#settled = false;
    this.#waiting.clear();
    let allow: () => void = () => undefined;
    this.#mayListen = new Promise((resolve) => (allow = resolve));
    while (this.slots.length < this.settings.workers) this.slots.push(new Slot(this.slotName(this.slots.length)));
    for (const slot of this.slots) {
      slot.reset();
      this.spawn(slot);
    }
    void this.#takeOver().then(allow);
  }

  /** Forks an instance for the slot without putting it there. */
  fork(slot: Slot): InstanceProcess {
    const { layout, entry } = this.#options;
    return new InstanceProcess({ id: slot.id, entry, runDir: layout.runDir, logDir: layout.logDir });
  }

  /** Leads a forked instance to its first answer and, after `beforeListen`, to the shared port; null when it is healthy. */
  async raise(
    instance: InstanceProcess,
    beforeListen: (instance: InstanceProcess) => Promise<unknown> = () => this.#mayListen,
  ): Promise<Failure | null> {
    const { host, port, bootTimeoutMs = BOOT_TIMEOUT_MS } = this.settings;
    const failure = await instance.raise({
      host,
      port,
      gate: this.#options.gate,
      mayListen: beforeListen,
      bootTimeoutMs,
    });
    if (failure === null) this.#healthySince.set(instance, performance.now());
    return failure;
  }

  spawn(slot: Slot): void {
    const instance = this.fork(slot);
    slot.current = instance;
    void this.raise(instance).then((failure) => {
      if (failure === null) this.#becameHealthy();
    });
    this.watch(slot, instance);
  }

  /** Follows an instance to its end, whoever caused it. */
  watch(slot: Slot, instance: InstanceProcess): void {
    void instance.exited.then(() => {
      this.#servedBefore += instance.served;
      forgetInstance(this.#options.layout, instance.id, instance.pid);
      this.retiring.delete(instance);
      if (slot.current === instance && this.running) this.#replace(slot, instance);
    });
  }

  /** The slot's instance becomes `next`; the old one drains while others serve, and is `closed` when no new request reaches it. */
  swap(slot: Slot, next: InstanceProcess): { readonly closed: Promise<unknown> } {
    slot.cancelRetry();
    const old = slot.current;
    slot.current = next;
    slot.reset();
    this.watch(slot, next);
    const closed = old ? this.retire(old) : Promise.resolve();
    this.#becameHealthy();
    return { closed };
  }

  retire(instance: InstanceProcess): Promise<unknown> {
    this.retiring.add(instance);
    const closed = instance.drain(LINGER_MS, this.settings.gracefulTimeoutMs);
    const timer = setTimeout(
      () => instance.kill('SIGKILL'),
      LINGER_MS + this.settings.gracefulTimeoutMs + EXIT_SLACK_MS,
    );
    void instance.exited.then(() => clearTimeout(timer));
    return closed;
  }

  reread(): void {
    this.settings = this.#options.readSettings();
  }

  /** See keepRecord. */
  keepRecord(slot: Slot): () => void {
    return keepRecord(this.#options.layout, slot.id);
  }

  slotName(index: number): string {
    return `${this.#options.unit}.${index}`;
  }

  /** Fetches fresh counters first. */
  async freshStatus(): Promise<ChildStatus> {
    await Promise.all(this.#all().map((instance) => instance.report(REPORT_MS)));
    return this.status();
  }

  status(): ChildStatus {
    return tierStatus({
      port: this.settings.port,
      slots: this.slots.map((slot) => slot.view(this.#life === 'stopped')),
      gateOpen: this.#gateOpen,
      life: this.#life,
      failure: this.#failure,
      wasHealthy: this.#wasHealthy,
      answered: this.#answered,
      predecessors: stillAlive(this.#predecessors).length,
      draining: this.retiring.size,
      servedBefore: this.#servedBefore,
      reloads: this.reloads,
    });
  }

  /** Every instance stops accepting at once, finishes what it has, and leaves. */
  async stop(): Promise<StopReport> {
    const instances = this.#leaveAll();
    const { gracefulTimeoutMs } = this.settings;
    for (const instance of instances) void instance.drain(0, gracefulTimeoutMs);
    const timer = setTimeout(() => this.killAll(), gracefulTimeoutMs + EXIT_SLACK_MS);
    await Promise.all(instances.map((instance) => instance.exited));
    clearTimeout(timer);
    this.#life = 'stopped';
    for (const slot of this.slots) slot.current = null;
    return {
      finished: instances.reduce((sum, instance) => sum + (instance.drained?.finished ?? 0), 0),
      cut: instances.reduce((sum, instance) => sum + (instance.drained?.cut ?? 0), 0),
    };
  }

  killAll(): void {
    for (const instance of this.#all()) instance.kill('SIGKILL');
  }

  /** Stops trying: what cannot start stays down, and `status` says why. */
  fail(failure: Failure): void {
    this.#failure = failure;
    this.#options.log.error(`given up: ${failure.what}`, { kind: failure.kind, evidence: failure.evidence ?? [] });
    for (const slot of this.slots) {
      slot.cancelRetry();
      void slot.current?.drain(0, this.settings.gracefulTimeoutMs);
    }
  }

  #all(): InstanceProcess[] {
    return [...this.slots.flatMap((slot) => slot.current ?? []), ...this.retiring];
  }

  #leaveAll(): InstanceProcess[] {
    this.#life = 'stopping';
    clearTimeout(this.#settleTimer);
    for (const slot of this.slots) slot.cancelRetry();
    return this.#all();
  }

  #replace(slot: Slot, instance: InstanceProcess): void {
    const since = this.#healthySince.get(instance);
    const wait = slot.died(instance, since === undefined ? 0 : performance.now() - since);
    clearTimeout(this.#settleTimer);
    if (this.#failure) return;
    const what = instance.failure?.what ?? `${slot.id} ended`;
    if (instance.failure?.kind === 'port-taken' && this.#predecessors.length > 0) {
      // Our own predecessors hold it: not a failure, but a matter of time.
      void this.#mayListen.then(() => this.#respawn(slot, 0));
      return;
    }
    const verdict = this.#settled ? { kind: 'replace' as const } : judgeStart(this.slots.map((one) => one.history));
    switch (verdict.kind) {
      case 'give-up': {
        this.fail(verdict.failure);
        return;
      }
      case 'wait':
        this.#options.log.warn(what);
        this.#waiting.add(slot);
        return;
      case 'replace':
        this.#options.log.error(`${what}; replacing it ${wait === 0 ? 'now' : `in ${wait} ms`}`, {
          kind: instance.failure?.kind,
        });
        {
          this.#respawn(slot, wait);
          return;
        }
      default:
        return unreachable(verdict);
    }
  }

  #respawn(slot: Slot, wait: number): void {
    this.#waiting.delete(slot);
    if (!this.running || this.#failure || slot.current || !this.slots.includes(slot)) return;
    slot.restarts += 1;
    if (wait === 0) this.spawn(slot);
    else slot.retryIn(wait, () => this.spawn(slot));
  }

  /** The new instances are loaded before the old ones leave the port, so that it is without a listener for milliseconds only. */
  async #takeOver(): Promise<void> {
    const { layout, unit, predecessor, log } = this.#options;
    const own = new Set(this.#all().map((instance) => instance.pid));
    const instances = livingInstances(layout.journalDir, layout.runDir, unit, own);
    this.#predecessors = predecessor ? [predecessor, ...instances] : instances;
    if (this.#predecessors.length === 0) return;
    log.info(`taking over from ${instances.length} instances of a primary that is gone`);
    const proven = await Promise.all(this.slots.map(async (slot) => (await slot.current?.proven) ?? false));
    const listensItself = this.slots.some((slot) => slot.failure?.kind === 'port-taken');
    if (!proven.includes(true) && !listensItself) return;
    const { ms, killed } = await releasePort(this.#predecessors, this.settings.host, this.settings.port);
    if (killed.length > 0) log.warn(`killed hanging predecessors: pid ${killed.join(', ')}`);
    log.info(`took over after ${ms.toFixed(0)} ms`);
  }

  #becameHealthy(): void {
    for (const slot of this.slots) slot.everHealthy ||= slot.healthy;
    // One works, so the others' failures at the start were their own.
    for (const slot of this.#waiting) this.#respawn(slot, backoffMs(slot.crashes));
    if (!this.slots.every((slot) => slot.healthy)) return;
    if (!this.#answered) void this.#askPort();
    clearTimeout(this.#settleTimer);
    this.#settleTimer = setTimeout(() => (this.#settled = true), SETTLE_MS);
    this.#settleTimer.unref();
    if (!this.#wasHealthy)
      this.#options.log.info(`${this.slots.length} instances answer on ${this.settings.host}:${this.settings.port}`);
    this.#wasHealthy = true;
  }

  /** The instances were proven one by one; this proves that the shared port leads to them. */
  async #askPort(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    while (this.running && !this.#answered && !this.#failure) {
      const probe = await probeHttp({ host: reachable(this.settings.host), port: this.settings.port, timeoutMs: 2000 });
      // HTTPS answers a plain request with a closed connection, which is an answer, too.
      this.#answered = probe.kind === 'answer' || probe.kind === 'broken';
    }
    this.#asking = false;
  }
}
