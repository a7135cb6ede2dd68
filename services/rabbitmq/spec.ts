import { checkDataDir } from '../../src/host/data-dir.js';
import type { RabbitmqSettings } from '../../src/model/settings.js';
import type { Endpoint, EngineSpec } from '../../src/ports/engine.js';
import { explainRabbitmqExit } from './exit.js';
import { findRabbitmq } from './find.js';
import { launchRabbitmq } from './launch.js';
import { probeAmqp } from './probe.js';
import { endpointOfUrl, urlOf } from './url.js';

/** Flushing queues to a slow disk takes its time; killing it then would cost the next start more. */
const STOP_GRACE_MS = 30_000;

export const rabbitmqSpec: EngineSpec<RabbitmqSettings> = {
  unit: 'rabbitmq',
  product: 'RabbitMQ',
  find: findRabbitmq,
  checkData: ({ settings }) =>
    checkDataDir({
      unit: 'rabbitmq',
      path: settings.dataDir,
      configured: settings.dataDirConfigured,
      setting: 'rabbitmq.dataDir',
    }),
  launch: launchRabbitmq,
  endpoint,
  probe: probeAmqp,
  uri: (settings, at) => settings.uri ?? urlOf(at),
  stop: {
    signal: 'SIGTERM',
    graceMs: STOP_GRACE_MS,
    explain: ({ managementPort }) =>
      managementPort === null
        ? 'RabbitMQ closes its queues'
        : 'RabbitMQ closes its queues; its management plugin takes 5 s to stop',
  },
  helperPrograms: ['epmd'],
  explainExit: explainRabbitmqExit,
};

function endpoint(settings: RabbitmqSettings): Endpoint {
  if (settings.uri !== null) return endpointOfUrl(settings.uri);
  const { host, port, user, password, vhost } = settings;
  return { host, port, user, password, vhost };
}
