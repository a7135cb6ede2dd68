import type { Failure } from '../model/failure.js';
import type { EngineSettings } from '../model/settings.js';
import type { Layout } from '../util/layout.js';

/** Where an engine is reached. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  readonly password?: string;
  readonly vhost?: string;
  /** Encrypted connection. Default false. */
  readonly tls?: boolean;
  /** `host` is a DNS seed list (mongodb+srv). Default false. */
  readonly srv?: boolean;
  /** Database that knows the user. Default `admin`. */
  readonly authSource?: string;
  /** Further members to try when the first does not answer. */
  readonly others?: readonly { readonly host: string; readonly port: number }[];
}

/** What one look over the wire told. */
export type ProbeResult =
  /** It speaks the protocol, accepts us and can do its work now. */
  | {
      readonly kind: 'healthy';
      readonly product: string;
      readonly version: string;
      /** Set when the server said whose it is: memt marks its engines with the layout id. */
      readonly owner: string | null;
      readonly facts: Readonly<Record<string, string | number | boolean>>;
    }
  /** Nothing listens. */
  | { readonly kind: 'refused' }
  /** It listens or answers, but cannot work yet (booting, not writable, alarm): `reason` says which. */
  | { readonly kind: 'not-ready'; readonly reason: string; readonly version: string | null }
  /** It listens and says nothing within the deadline. */
  | { readonly kind: 'silent'; readonly ms: number }
  /** It speaks, but refuses our credentials or vhost. */
  | { readonly kind: 'denied'; readonly reason: string; readonly version: string | null; readonly owner: string | null }
  /** Something else lives on the port; `reason` quotes its first bytes, made printable. */
  | { readonly kind: 'foreign'; readonly reason: string };

export interface Binary {
  /** Absolute path of the program that is spawned. */
  readonly path: string;
  /** As printed by the program or read from its files; null when unknown before the start. */
  readonly version: string | null;
}

/** Everything needed to spawn an engine. Pure data, printable by `--dry-run`. */
export interface EngineLaunch {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** The complete environment of the engine: engines do not inherit the shell's. */
  readonly env: Readonly<Record<string, string>>;
  /** Folders to make first (0700). */
  readonly directories: readonly string[];
  /** Files to write first. */
  readonly files: readonly { readonly path: string; readonly content: string; readonly mode: number }[];
  /** Where stdout and stderr go. */
  readonly stdoutFile: string;
  /** The engine's own log: moves while it starts, quoted when it fails. */
  readonly logFile: string;
  /** Every port that it will listen on, the main one first. */
  readonly ports: readonly number[];
  /** Helper processes that outlive the engine and must be ended after it (epmd): found by this port. */
  readonly helperPorts: readonly number[];
}

export interface EngineContext<S extends EngineSettings> {
  readonly settings: S;
  readonly layout: Layout;
  readonly project: string;
}

/** How memt runs one kind of engine: everything that is particular to mongod or RabbitMQ, and nothing else. */
export interface EngineSpec<S extends EngineSettings> {
  readonly unit: 'mongodb' | 'rabbitmq';
  /** For display: `MongoDB`, `RabbitMQ`. */
  readonly product: string;
  /** The configured program, else the first found in the usual places. A configured one that is not usable is a Failure. */
  find(settings: S, env: NodeJS.ProcessEnv): Binary | Failure | null;
  /** Before the start: the data directory exists, is ours to write, and (when configured) is not missing. null = fine. */
  checkData(context: EngineContext<S>): Failure | null;
  /** Launch of the real server. Picks free helper ports by itself. */
  launch(context: EngineContext<S>, binary: Binary): Promise<EngineLaunch>;
  endpoint(settings: S): Endpoint;
  /** One look over raw sockets; loads no driver. Never throws. */
  probe(
    endpoint: Endpoint,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  ): Promise<ProbeResult>;
  /** The URI that the application gets. */
  uri(settings: S, endpoint: Endpoint): string;
  /** Names of programs that the engine leaves behind and that end after it (epmd). */
  readonly helperPrograms: readonly string[];
  /** Signal that asks for a clean stop, how long it may take (ms), and what is being waited for. */
  readonly stop: { readonly signal: NodeJS.Signals; readonly graceMs: number; explain(settings: S): string };
  /** Why it ended, from exit code, signal and its own last log lines. */
  explainExit(exit: EngineExit, context: EngineContext<S>): Failure;
}

export interface EngineExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Last lines of its own log, oldest first (at most 200). */
  readonly logTail: readonly string[];
  readonly output: readonly string[];
}
