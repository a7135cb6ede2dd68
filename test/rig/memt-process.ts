import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../src/util/entries.js';

/** How a run of memt ended. */
export interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface MemtOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** The run is killed and the wait fails after this time. Default 60 s. */
  readonly deadlineMs?: number;
}

/** `node bin/memt.js …` as a process: its output so far, waiting for a piece of it, signals. */
export class MemtProcess {
  stdout = '';
  stderr = '';
  /** Settles when it has ended; rejects when it outlives its deadline. */
  readonly done: Promise<Run>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();

  constructor(
    readonly args: readonly string[],
    options: MemtOptions,
  ) {
    const started = performance.now();
    const { deadlineMs = 60_000 } = options;
    const child = spawn(process.execPath, [join(packageRoot, 'bin/memt.js'), ...args], {
      cwd: options.cwd,
      env: { ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#add('stdout', text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#add('stderr', text));
    this.done = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`memt ${args.join(' ')}: still running after ${deadlineMs} ms\n${this.output}`));
      }, deadlineMs);
      child.on('error', reject);
      // Not 'close': what a detached grandchild inherits by mistake must not look like memt itself hanging.
      child.on('exit', (code, signal) => {
        clearTimeout(timer);
        setImmediate(() => {
          this.#notify();
          resolve({ code, signal, stdout: this.stdout, stderr: this.stderr, ms: performance.now() - started });
        });
      });
    });
    this.done.catch(() => undefined);
  }

  get output(): string {
    return `${this.stdout}${this.stderr}`;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the match as soon as stdout or stderr holds it. @throws Error when it ends first, or after `ms` */
  async waitForOutput(pattern: RegExp, ms = 30_000): Promise<RegExpExecArray> {
    const end = performance.now() + ms;
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match;
      const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (ended || performance.now() >= end) {
        throw new Error(
          `memt ${this.args.join(' ')}: ${ended ? 'ended' : `${ms} ms passed`} without ${String(pattern)}\n${this.output}`,
        );
      }
      await this.#changed(end - performance.now());
    }
  }

  #add(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text;
    this.#notify();
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #changed(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#watchers.add(done);
    });
  }
}
