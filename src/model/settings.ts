/** The effective settings of a stack: resolved, validated, every path absolute, every duration in ms. */
export interface Settings {
  /** Name of the project: the config's `name`, else package.json's name, else the folder's; safe as a database, vhost and PM2 name. */
  readonly project: string;
  /** Absolute folder of the config file. */
  readonly root: string;
  readonly configFile: string;
  readonly environment: string;
  /** True when embedded engines may be used (environment, `--allow-embedded`). */
  readonly allowEmbedded: boolean;
  readonly cpus: CpuCount;
  readonly timeouts: { readonly engineMs: number; readonly instanceMs: number };
  readonly mongodb: MongodbSettings | null;
  readonly rabbitmq: RabbitmqSettings | null;
  /** One per worker group; the group's name is the unit's name. */
  readonly workers: readonly WorkerSettings[];
  readonly web: WebSettings | null;
  /** Variables for the processes: shell that ran `up`, overlaid on the .env files. */
  readonly env: Readonly<Record<string, string>>;
  /** Where each dotted key's value came from: `web.port` -> `flag --port`, `default`, `ecosystem.config.js`, … */
  readonly origins: Readonly<Record<string, string>>;
  /** Sentences worth showing once: what works, but probably is not meant. */
  readonly warnings?: readonly string[];
}

export interface CpuCount {
  /** Real-valued: 1.5 under a quota of 150 %. */
  readonly cpus: number;
  readonly source: 'affinity' | 'cgroup v1' | 'cgroup v2' | 'configured';
}

export interface EngineSettings {
  /** A configured URI makes the engine external: checked, never started or stopped. */
  readonly uri: string | null;
  readonly host: string;
  readonly port: number;
  /** Data directory: `<root>/.memt/data/<unit>` unless configured. */
  readonly dataDir: string;
  readonly dataDirConfigured: boolean;
  /** Absolute path of the server program, when configured. */
  readonly binary: string | null;
  /** `auto`: real when found, else embedded; `real` / `embedded`: only that. */
  readonly engine: 'auto' | 'real' | 'embedded';
  readonly adopt: boolean;
}

export interface MongodbSettings extends EngineSettings {
  readonly database: string;
}

export interface RabbitmqSettings extends EngineSettings {
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
  /** Port of the management page; null switches it off. */
  readonly managementPort: number | null;
}

export interface WorkerSettings {
  readonly name: string;
  /** Absolute path of the module that defines the tasks. */
  readonly tasks: string;
  readonly exportName: string | null;
  readonly processes: number;
  /** Tasks at once in one process. */
  readonly concurrency: number;
  readonly gracefulTimeoutMs: number;
}

export interface WebSettings {
  /** Absolute path of the module whose export is the application. */
  readonly app: string;
  readonly exportName: string | null;
  readonly host: string;
  readonly port: number;
  /** Instances: 2N+1 by default. */
  readonly workers: number;
  /** The arithmetic, for display: `2*2+1 = 5`. */
  readonly workersReason: string;
  /** Blocked event loop limit, 0 = off. */
  readonly timeoutMs: number;
  readonly gracefulTimeoutMs: number;
  /** Time an instance has from its gate to its first answer, ms; default 30,000. */
  readonly bootTimeoutMs?: number;
  readonly backlog: number;
}
