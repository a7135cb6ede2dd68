import { bootChild, type Child } from '../../../src/child/boot.js';
import { FailureError, type Failure } from '../../../src/model/failure.js';
import type { RabbitmqSettings } from '../../../src/model/settings.js';
import type { ChildStatus } from '../../../src/model/status.js';
import type { InstanceState } from '../../../src/model/unit.js';
import { createPage, type Page } from './page/page.js';
import { createBroker, type Broker, type BrokerOptions } from './server/server.js';

/** How long clients may take to answer that the broker goes, in ms. */
const CLIENT_GRACE_MS = 120;

/** How long a failed start stays to be asked why, in ms. */
const FAILED_LINGER_MS = 200;

const child = await bootChild('engine');
const settings = child.launch.settings as RabbitmqSettings;
let state: InstanceState = 'starting';
let failure: Failure | null = null;
let broker: Broker | null = null;
let page: Page | null = null;
let stopping: Promise<void> | null = null;

child.control.handle('status', (): ChildStatus => {
  const readOnly = broker?.engine.failure?.failure ?? null;
  return {
    state: readOnly && state === 'healthy' ? 'degraded' : state,
    reason: (failure ?? readOnly)?.what ?? null,
    failure: failure ?? readOnly,
    waiting: false,
    ports:
      state === 'healthy'
        ? [settings.port, ...(settings.managementPort === null ? [] : [settings.managementPort])]
        : [],
    instances: [],
    facts: {
      connections: broker?.connections.size ?? 0,
      published: broker?.engine.counters.published ?? 0,
      logBytes: broker?.engine.logBytes ?? 0,
    },
  };
});
process.on('SIGTERM', () => void stop());
process.on('SIGINT', () => void stop());
await start(child);

async function start({ launch, layout, log }: Child): Promise<void> {
  const options: BrokerOptions = {
    layoutId: layout.id,
    project: launch.project,
    dataDir: settings.dataDir,
    user: settings.user,
    password: settings.password,
    vhosts: [settings.vhost],
    log,
  };
  try {
    broker = await createBroker(options);
    await broker.listen(settings.port, settings.host);
    if (settings.managementPort !== null) {
      page = createPage(broker, options);
      await page.listen(settings.managementPort, settings.host);
    }
    state = 'healthy';
    log.info(`embedded broker ready on ${settings.host}:${settings.port}`, { dataDir: settings.dataDir });
  } catch (error) {
    if (!(error instanceof FailureError)) throw error;
    state = 'failed';
    failure = { ...error.failure, unit: launch.unit };
    log.fatal(failure.what, { kind: failure.kind, mend: failure.mend ?? null });
    process.exitCode = 1;
    await broker?.close(0);
    // Whoever started it asks over the control socket; it is unref'ed and would not keep the process.
    setTimeout(() => process.exit(1), FAILED_LINGER_MS);
  }
}

function stop(): Promise<void> {
  stopping ??= end();
  return stopping;
}

async function end(): Promise<void> {
  state = 'draining';
  child.log.info('embedded broker stops');
  await Promise.all([page?.close(), broker?.close(CLIENT_GRACE_MS)]);
  await child.control.close();
  process.exit(process.exitCode ?? 0);
}
