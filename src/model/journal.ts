/** One record per process of the stack: `<journalDir>/<instance>.json`. Written before the process is (intended), and by it. */
export interface JournalRecord {
  readonly schema: 1;
  readonly unit: string;
  readonly instance: string;
  readonly role: 'engine' | 'helper' | 'keeper' | 'pm2' | 'worker' | 'web' | 'web-instance' | 'nginx';
  /** null while only intended. */
  readonly pid: number | null;
  readonly startTime: number;
  readonly bootId: string;
  /** Unix ms of the record. */
  readonly at: number;
  readonly command: string;
  readonly ports: readonly number[];
  /** Engines: how it runs, what it is. */
  readonly engine?: 'spawned' | 'embedded' | 'adopted' | 'external';
  readonly version?: string;
  /** Digest of the settings it was started with: another digest means "changed". */
  readonly settingsDigest?: string;
}
