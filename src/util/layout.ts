import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Linux allows 108 bytes for a socket path; PM2 truncates or hangs above 106, and its file names need room. */
const MAX_SOCKET_DIR_BYTES = 80;

/** Every place where a project keeps its state. All absolute. */
export interface Layout {
  readonly root: string;
  /** Twelve hex digits that name this project folder on this machine. */
  readonly id: string;
  /** `<root>/.memt`, 0700. */
  readonly stateDir: string;
  /** Journal, launch files, gates, health. */
  readonly runDir: string;
  readonly journalDir: string;
  readonly launchDir: string;
  readonly gateDir: string;
  readonly healthFile: string;
  readonly logDir: string;
  readonly dataDir: string;
  /** Control sockets: `<socketDir>/<instance>.sock`. Short, 0700. */
  readonly socketDir: string;
  /** PM2_HOME of this project's own daemon. */
  readonly pm2Home: string;
  /** Name of the abstract socket (Linux) that is the project lock, without the leading NUL. */
  readonly lockName: string;
}

/**
 * The layout of the project in `root`; pure. Sockets and PM2_HOME live in `.memt/run` unless that path would be
 * too long for a Unix socket: then in `/tmp/memt-<uid>/<id>` (not XDG_RUNTIME_DIR: two shells may disagree on it).
 */
export function layoutOf(root: string, uid = process.getuid?.() ?? 0): Layout {
  const id = createHash('sha256').update(`${uid}:${root}`).digest('hex').slice(0, 12);
  const stateDir = join(root, '.memt');
  const runDir = join(stateDir, 'run');
  const fits = Buffer.byteLength(join(runDir, 'pm2')) <= MAX_SOCKET_DIR_BYTES;
  const short = fits ? runDir : join(`/tmp/memt-${uid}`, id);
  return {
    root,
    id,
    stateDir,
    runDir,
    journalDir: join(runDir, 'journal'),
    launchDir: join(runDir, 'launch'),
    gateDir: join(runDir, 'gate'),
    healthFile: join(runDir, 'health.json'),
    logDir: join(stateDir, 'logs'),
    dataDir: join(stateDir, 'data'),
    socketDir: join(short, 's'),
    pm2Home: join(short, 'pm2'),
    lockName: `memt/${id}/lock`,
  };
}

/** The gate is a file: it outlives the `up` that opened it, so a process that PM2 restarts later walks straight through. */
export function gateFile(layout: Layout, unit: string): string {
  return join(layout.gateDir, unit);
}
