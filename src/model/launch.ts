/**
 * What a process forked or spawned by memt reads at its start: `<runDir>/launch/<unit>.json`, 0600, so that nothing of it
 * passes through argv, PM2's tables or another user's eyes.
 */
export interface Launch {
  readonly schema: 1;
  readonly project: string;
  readonly root: string;
  readonly environment: string;
  readonly unit: string;
  /** The shell that ran `up` plus .env; assigned to process.env before anything else happens. */
  readonly env: Readonly<Record<string, string>>;
  /** The umask of that shell: memt itself works with 077, the application with its user's. */
  readonly umask: number;
  /** Digest of the settings, copied into the journal: another digest later means "changed". */
  readonly settingsDigest: string;
  /** The unit's own settings: MongodbSettings, RabbitmqSettings, WorkerSettings or WebSettings. */
  readonly settings: unknown;
  /** Where the engines are reached; also put into process.env as MONGODB_URI and RABBITMQ_URL. null = unit switched off. */
  readonly engines: { readonly mongodb: string | null; readonly rabbitmq: string | null };
}

/** Variables by which memt finds its processes again; the only ones PM2 gets beyond its allow-list. */
export const MEMT_ENV = {
  /** The project's run directory: marks every process of this stack. */
  runDir: 'MEMT_RUN_DIR',
  launch: 'MEMT_LAUNCH',
  instance: 'MEMT_INSTANCE',
  /** Bare PM2 only: the config file and the unit to run from it. */
  config: 'MEMT_CONFIG',
  unit: 'MEMT_UNIT',
} as const;
