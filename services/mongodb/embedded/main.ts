import { bootChild } from '../../../src/child/boot.js';
import { FailureError, type Failure } from '../../../src/model/failure.js';
import type { MongodbSettings } from '../../../src/model/settings.js';
import type { ChildStatus } from '../../../src/model/status.js';
import { EXIT } from '../../../src/model/exit.js';
import { asError, codeOf } from '../../../src/util/errors.js';
import { createDocumentServer, type DocumentServer } from './server.js';

/** How long a failed engine still answers `status`, so that `up` learns the reason from it. */
const LAST_WORDS_MS = 250;

const child = await bootChild('engine');
const settings = child.launch.settings as MongodbSettings;
let failure: Failure | null = null;
let server: DocumentServer | null = null;
const state = { stopping: false };

child.control.handle('status', (): ChildStatus => ({
  state: failure ? 'failed' : state.stopping ? 'draining' : server ? 'healthy' : 'starting',
  reason: failure?.what ?? null,
  failure,
  waiting: false,
  ports: server ? [server.port] : [],
  instances: [],
  facts: { embedded: true, dataDir: settings.dataDir },
}));

process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());

try {
  const started = performance.now();
  server = await createDocumentServer({
    dataDir: settings.dataDir,
    host: settings.host,
    port: settings.port,
    owner: { project: child.launch.project, id: child.layout.id },
    log: child.log,
  });
  child.log.info(`embedded document server listens on ${server.host}:${server.port}, answers as 7.0.0`, {
    dataDir: settings.dataDir,
    startMs: Math.round(performance.now() - started),
  });
  // A signal that came while it was starting.
  if (state.stopping) await stop();
} catch (error) {
  failure = failureOf(error);
  child.log.error(`mongodb (embedded) could not start: ${failure.what}`, { mend: failure.mend ?? null });
  await new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS));
  process.exit(1);
}

async function stop(): Promise<void> {
  state.stopping = true;
  if (!server) return;
  try {
    await server.close();
  } catch (error) {
    child.log.error('the journal could not be closed cleanly', { err: error });
    process.exit(1);
  }
  child.log.info('embedded document server stopped');
  process.exit(EXIT.ok);
}

function failureOf(error: unknown): Failure {
  if (error instanceof FailureError) return { ...error.failure, unit: child.launch.unit };
  const code = codeOf(error);
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL') {
    return {
      kind: 'port-taken',
      unit: child.launch.unit,
      what: `${settings.host}:${settings.port} cannot be listened on (${code})`,
      cause: code === 'EADDRINUSE' ? 'Another process listens there' : 'The address or port is not ours to use',
      mend: 'Stop what holds the port, or set mongodb.port in ecosystem.config.js',
    };
  }
  throw asError(error);
}
