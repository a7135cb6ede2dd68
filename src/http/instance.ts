import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, type AddressInfo, type Server as NetServer } from 'node:net';
import type { Failure } from '../model/failure.js';
import { asError, codeOf } from '../util/errors.js';
import type { InstanceBoot } from './boot.js';
import { listenFailure } from './explain.js';
import { loadApplication } from './load.js';
import { loadError } from './load-error.js';
import { isOurs, type FromInstance, type ToInstance } from './message.js';
import { watchOwnListeners } from './own-listener.js';
import { forgetInstance, recordInstance } from './record.js';
import { toServer, type Served } from './serve.js';
import { Traffic } from './traffic.js';
import { startWatchdog } from './watchdog.js';

/** How often the counters go to the primary when they have changed, ms. */
const STATS_MS = 1000;
/** What other requests get to finish when an uncaught error ends the instance, ms. */
const CRASH_GRACE_MS = 1000;
/** While others serve, a leaving instance goes on accepting for so long, ms. */
const LINGER_MS = 300;
/** How long an instance serves on without a primary once the project's state is gone, ms. */
const ORPHAN_LIMIT_MS = 60_000;
const ORPHAN_LOOK_MS = 1000;
/** What an application's own close() gets at most, ms. */
const CLOSE_MS = 5000;

/** One instance of the web server: imports the application when told, listens when told, drains when told. */
export class WebInstance {
  readonly #boot: InstanceBoot;
  #phase: 'loading' | 'serving' | 'leaving' = 'loading';
  #served: Served | undefined;
  #traffic: Traffic | undefined;
  #probe: NetServer | undefined;
  #listensItself = false;
  #statsTimer: NodeJS.Timeout | undefined;

  constructor(
    boot: InstanceBoot,
    private readonly watchdogEntry: URL,
  ) {
    this.#boot = boot;
  }

  /** Takes the process over: from here on the primary, signals or an error end it. */
  start(): void {
    // Without this Node ends an instance the moment its primary dies.
    if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
    process.on('message', (message: unknown) => {
      if (isOurs(message)) void this.#obey(message as ToInstance);
    });
    process.on('disconnect', () => this.#orphaned());
    // Trouble in the handling of trouble must not come back here for ever.
    process.on('uncaughtException', (error) => void this.#crashed(error).catch(() => process.exit(1)));
    process.on('SIGTERM', () => void this.#leave(process.connected ? LINGER_MS : 0));
    // Ctrl-C reaches the whole process group: the primary decides then.
    process.on('SIGINT', () => (process.connected ? undefined : void this.#leave(0)));
    this.#tell({ memt: 'warm' });
  }

  async #obey(message: ToInstance): Promise<void> {
    try {
      switch (message.memt) {
        case 'load': {
          await this.#load();
          return;
        }
        case 'listen': {
          await this.#listen();
          return;
        }
        case 'report':
          this.#report();
          return;
        case 'drain': {
          await this.#leave(message.lingerMs, message.graceMs);
          return;
        }
        default:
          return; // a newer primary may say more
      }
    } catch (error) {
      this.#boot.log.error(`failed to ${message.memt}`, { err: error });
      await this.#crashed(error);
    }
  }

  async #load(): Promise<void> {
    const { settings, launch, log } = this.#boot;
    const own = watchOwnListeners();
    const result = await loadApplication({
      settings,
      root: launch.root,
      onStep: (text) => this.#tell({ memt: 'doing', text }),
      listening: () => {
        const server = own.on(settings.port);
        return server && { kind: 'server', server };
      },
    });
    own.stop();
    this.#listensItself = own.on(settings.port) !== undefined;
    if (!result.ok) {
      this.#giveUp(withOwnPorts(result.failure, own.ports(), settings.port));
      return;
    }
    this.#tell({ memt: 'doing', text: `getting ready (${result.value.kind})` });
    this.#served = await toServer(result.value, log);
    this.#traffic = new Traffic(this.#served.server, () => this.#changed());
    const { server } = this.#served;
    const probePort = await this.#openProbe(this.#traffic);
    this.#tell({ memt: 'loaded', application: result.value.kind, probePort, secure: 'setSecureContext' in server });
  }

  async #listen(): Promise<void> {
    const { settings, layout, launch, instance } = this.#boot;
    const { host, port, backlog } = settings;
    const server = this.#served?.server;
    if (!server || !this.#traffic) return;
    this.#tell({ memt: 'doing', text: `listening on ${host}:${port}` });
    try {
      await new Promise<void>((resolve, reject) => {
        if (server.listening) {
          resolve();
          return;
        }
        server.once('error', reject);
        server.once('listening', () => {
          server.removeListener('error', reject);
          resolve();
        });
        if (!this.#listensItself) server.listen({ host, port, backlog });
      });
    } catch (error) {
      this.#giveUp(listenFailure(asError(error), host, port));
      return;
    }
    recordInstance(layout, launch, instance, process.pid);
    this.#phase = 'serving';
    this.#traffic.endProbing();
    this.#probe?.close();
    this.#tell({ memt: 'listening' });
    this.#watch();
  }

  /** Only now: its thread would cost time before the first answer. */
  #watch(): void {
    const { settings, launch, layout, instance, log } = this.#boot;
    if (settings.timeoutMs === 0) return;
    startWatchdog({
      entry: this.watchdogEntry,
      limitMs: settings.timeoutMs,
      unit: launch.unit,
      instance,
      logFile: join(layout.logDir, `${instance}.ndjson`),
      onError: (error) => log.warn('the watchdog has ended: a blocked event loop will not be noticed', { err: error }),
    });
  }

  /** Under a shared queue nobody can choose the instance that answers: the proof comes in by a private listener. */
  async #openProbe(traffic: Traffic): Promise<number> {
    const probe = createServer((socket) => traffic.probe(socket));
    this.#probe = probe;
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ host: '127.0.0.1', port: 0, exclusive: true }, resolve);
    });
    probe.unref();
    return (probe.address() as AddressInfo).port;
  }

  #report(): void {
    const { served = 0, inFlight = 0 } = this.#traffic ?? {};
    this.#tell({ memt: 'stats', served, inFlight });
  }

  /** Counters go to the primary at most once a second, and an idle instance sleeps. */
  #changed(): void {
    this.#statsTimer ??= setTimeout(() => {
      this.#statsTimer = undefined;
      this.#report();
    }, STATS_MS).unref();
  }

  #giveUp(failure: Failure): void {
    this.#phase = 'leaving';
    this.#tell({ memt: 'failed', failure }, () => process.exit(1));
    setTimeout(() => process.exit(1), 250);
  }

  /** The error itself is in the log already: the capture records what is uncaught. */
  async #crashed(error: unknown): Promise<void> {
    const { settings, launch } = this.#boot;
    switch (this.#phase) {
      case 'loading': {
        const taken = codeOf(error) === 'EADDRINUSE' && Number((error as { port?: unknown }).port) === settings.port;
        this.#giveUp(
          taken
            ? listenFailure(asError(error), settings.host, settings.port)
            : await loadError(error, settings.app, launch.root),
        );
        return;
      }
      case 'serving':
        this.#tell({ memt: 'crashed', text: asError(error).message });
        return void this.#leave(0, CRASH_GRACE_MS, 1);
      case 'leaving':
        return; // it is on its way out
    }
  }

  async #leave(lingerMs: number, graceMs = this.#boot.settings.gracefulTimeoutMs, code = 0): Promise<void> {
    if (this.#phase !== 'serving') {
      if (this.#phase === 'loading') process.exit(code);
      if (lingerMs === 0) this.#traffic?.closeNow();
      return;
    }
    this.#phase = 'leaving';
    const { layout, instance, log } = this.#boot;
    this.#probe?.close();
    const report = await this.#traffic?.drain(lingerMs, graceMs, () => this.#tell({ memt: 'closed' }));
    if (report && report.cut > 0) {
      log.warn(`${report.cut} requests cut off after ${graceMs} ms: ${report.cutRequests.join(', ')}`);
    }
    await this.#closeApplication();
    forgetInstance(layout, instance, process.pid);
    const done = (): never => process.exit(code);
    setTimeout(done, 100);
    this.#tell(
      { memt: 'drained', served: this.#traffic?.served ?? 0, finished: report?.finished ?? 0, cut: report?.cut ?? 0 },
      done,
    );
  }

  async #closeApplication(): Promise<void> {
    if (!this.#served?.close) return;
    const timer = new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref());
    await Promise.race([
      Promise.resolve(this.#served.close()).catch((error: unknown) =>
        this.#boot.log.warn('the application failed to close', { err: error }),
      ),
      timer,
    ]);
  }

  #orphaned(): void {
    if (this.#phase === 'leaving') return;
    if (this.#phase === 'loading') process.exit(0);
    const { layout, log } = this.#boot;
    log.warn('the primary is gone: serving on until a new one takes over');
    const since = performance.now();
    setInterval(() => {
      if (performance.now() - since > ORPHAN_LIMIT_MS && !existsSync(layout.journalDir)) void this.#leave(0);
    }, ORPHAN_LOOK_MS).unref();
  }

  #tell(message: FromInstance, done?: () => void): void {
    if (!process.connected || !process.send) return done?.();
    // The callback takes the error of a channel that closes meanwhile: #orphaned handles that.
    process.send(message, undefined, undefined, () => done?.());
  }
}

function withOwnPorts(failure: Failure, ports: readonly number[], wanted: number): Failure {
  if (failure.kind !== 'entry-shape' || ports.length === 0) return failure;
  return {
    ...failure,
    cause: `It listens by itself on ${ports.join(', ')}, but web.port is ${wanted}`,
    mend: 'Let it listen on process.env.PORT, or export the application without listening',
  };
}
