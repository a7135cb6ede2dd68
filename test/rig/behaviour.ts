/** What a test makes a fake engine do. Everything is optional: by default it starts, serves and stops cleanly. */
export interface Behaviour {
  /** Never listens; stays alive. */
  readonly hang?: boolean;
  /** Ends before it listens, with this code, after writing these lines to its log as they are. */
  readonly exit?: { readonly code: number; readonly log?: readonly string[] };
  /** Ends before it listens, as the real program does in this trouble: its real log lines and exit code. */
  readonly trouble?: 'port-taken' | 'data-locked' | 'data-newer' | 'abort' | 'disk-full';
  /** Time between its start and its listening, ms. */
  readonly bootMs?: number;
  /** What happens to a connection: served, left in the kernel's queue, accepted without an answer, answered with junk. */
  readonly listen?: 'serve' | 'no-accept' | 'no-answer' | 'garbage';
  /** Ends `ms` after its first healthy answer. */
  readonly dieAfterReady?: { readonly ms: number; readonly code?: number; readonly signal?: NodeJS.Signals };
  readonly ignoreSigterm?: boolean;
  /** Says that it takes no writes (not primary, or an alarm). */
  readonly refuseWrites?: boolean;
  /** The version that it reports. */
  readonly version?: string;
}

/** What a fake tells about itself when it dials the test. */
export interface Invocation {
  readonly program: 'mongod' | 'rabbitmq-server';
  readonly pid: number;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** Lines from the fake to the test: first its invocation, then these. */
export type FakeEvent =
  | { readonly event: 'listening'; readonly port: number }
  | { readonly event: 'ready' }
  | { readonly event: 'signal'; readonly signal: string };

/** Lines from the test to the fake: first its behaviour, then these. */
export type FakeCommand =
  | { readonly op: 'behave'; readonly behaviour: Behaviour }
  | { readonly op: 'die'; readonly code?: number; readonly signal?: NodeJS.Signals };
