import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnDetached } from '../../src/adapters/spawn.js';
import { stopProcess, type StopOutcome } from '../../src/host/stop.js';
import { FailureError, type Failure } from '../../src/model/failure.js';
import type { EngineSettings } from '../../src/model/settings.js';
import type { Binary, EngineContext, EngineLaunch, EngineSpec, ProbeResult } from '../../src/ports/engine.js';
import type { Spawned } from '../../src/ports/spawner.js';
import { sleep } from '../../src/util/deadline.js';
import { layoutOf, type Layout } from '../../src/util/layout.js';
import { collectLeaks } from './leaks.js';

/** A project folder with one engine in it, driven through its spec alone: what `memt up` does with an engine, without the rest. */
export class EngineRun<S extends EngineSettings> implements AsyncDisposable {
  readonly layout: Layout;
  readonly context: EngineContext<S>;
  launch: EngineLaunch | undefined;
  spawned: Spawned | undefined;

  private constructor(
    readonly spec: EngineSpec<S>,
    readonly home: string,
    root: string,
    settings: (layout: Layout) => S,
  ) {
    mkdirSync(root, { recursive: true });
    this.layout = layoutOf(root);
    this.context = { settings: settings(this.layout), layout: this.layout, project: 'test' };
  }

  static create<S extends EngineSettings>(
    spec: EngineSpec<S>,
    settings: (layout: Layout) => S,
    path = 'app',
  ): EngineRun<S> {
    const home = mkdtempSync(join(tmpdir(), 'memt-engine-'));
    return new EngineRun(spec, home, join(home, path), settings);
  }

  /** Prepares and spawns. @throws FailureError when its data directory is not fit */
  async start(binary: Binary): Promise<EngineLaunch> {
    const bad = this.spec.checkData(this.context);
    if (bad) throw new FailureError(bad);
    const launch = await this.spec.launch(this.context, binary);
    for (const folder of launch.directories) mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const file of launch.files) writeFileSync(file.path, file.content, { mode: file.mode });
    this.launch = launch;
    this.spawned = await spawnDetached(launch);
    return launch;
  }

  look(timeoutMs = 1000): Promise<ProbeResult> {
    return this.spec.probe(this.spec.endpoint(this.context.settings), { timeoutMs });
  }

  /** Looks until `wanted` comes. @throws Error with the explanation when the engine ends first, or with the last look after `ms` */
  async until(wanted: ProbeResult['kind'], ms = 40_000): Promise<ProbeResult> {
    const end = performance.now() + ms;
    const state = { ended: false };
    void this.spawned?.exit.then(() => (state.ended = true));
    for (;;) {
      const result = await this.look();
      if (result.kind === wanted) return result;
      if (state.ended) throw new Error(JSON.stringify(await this.failure(), null, 2));
      if (performance.now() > end) throw new Error(`last look: ${JSON.stringify(result)}`);
      await sleep(20);
    }
  }

  /** Waits for its end and explains it. */
  async failure(ms = 20_000): Promise<Failure> {
    const exit = await Promise.race([this.spawned?.exit, sleep(ms)]);
    if (!exit) throw new Error(`the engine has not ended within ${ms} ms`);
    return this.spec.explainExit(
      { ...exit, logTail: lines(this.launch?.logFile), output: lines(this.launch?.stdoutFile) },
      this.context,
    );
  }

  async stop(): Promise<StopOutcome> {
    const { spec, spawned } = this;
    if (!spawned) return 'gone';
    return stopProcess({ identity: spawned.identity, signal: spec.stop.signal, graceMs: spec.stop.graceMs });
  }

  log(): string {
    return lines(this.launch?.logFile).join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.spawned) await stopProcess({ identity: this.spawned.identity, signal: 'SIGTERM', graceMs: 0 });
    // Helpers (epmd) are the caller's to end in a test that is about them; here they just must not survive.
    await collectLeaks(this.layout, []);
    rmSync(this.home, { recursive: true, force: true, maxRetries: 3 });
  }
}

function lines(file: string | undefined): string[] {
  if (file === undefined) return [];
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-200);
  } catch {
    return []; // not written yet
  }
}
