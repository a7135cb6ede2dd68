/** One process to fork. Pure data: PM2 stores and prints everything it is given, so nothing secret may be in here. */
export interface ForkSpec {
  /** `web`, `worker.0`, `keeper`: unique within the project. */
  readonly name: string;
  /** Absolute path of the compiled entry. */
  readonly script: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly outFile: string;
  readonly errorFile: string;
  /** Time between SIGINT and SIGKILL when it is stopped, ms. */
  readonly graceMs: number;
  readonly nodeArgs: readonly string[];
}

export interface ManagedProcess {
  readonly name: string;
  readonly pid: number | null;
  readonly state: 'online' | 'launching' | 'stopping' | 'stopped' | 'errored' | 'waiting restart' | 'one-launch-status';
  readonly restarts: number;
  readonly exitCode: number | null;
}

/** Forks and restarts processes. Every call has a deadline and throws FailureError of kind `pm2` when it passes. */
export interface ProcessManager {
  /** Connects, starting the daemon when none answers. Call it only under the project lock. */
  connect(): Promise<{ readonly daemonPid: number }>;
  /** Returns as soon as the process is forked: whether it works is for its own probe to say. */
  fork(spec: ForkSpec): Promise<void>;
  list(): Promise<readonly ManagedProcess[]>;
  /** Stops and forgets the named process; resolves when it is gone. Unknown names are fine. */
  remove(name: string, graceMs: number): Promise<void>;
  /** Closes the connection; the daemon lives on. */
  disconnect(): void;
}
