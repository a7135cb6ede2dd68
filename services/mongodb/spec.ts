import { checkDataDir } from '../../src/host/data-dir.js';
import type { MongodbSettings } from '../../src/model/settings.js';
import type { EngineSpec } from '../../src/ports/engine.js';
import { explainMongodExit } from './exit.js';
import { findMongod } from './find.js';
import { launchMongod } from './launch.js';
import { probeMongodb } from './probe.js';
import { endpointOfUri, uriOf } from './uri.js';

/** A checkpoint of a large cache on a slow disk takes its time; killing it then would cost the next start more. */
const STOP_GRACE_MS = 60_000;

export const mongodbSpec: EngineSpec<MongodbSettings> = {
  unit: 'mongodb',
  product: 'MongoDB',
  find: findMongod,
  checkData: ({ settings }) =>
    checkDataDir({
      unit: 'mongodb',
      path: settings.dataDir,
      configured: settings.dataDirConfigured,
      setting: 'mongodb.dbpath',
    }),
  launch: launchMongod,
  endpoint: (settings) =>
    settings.uri === null ? { host: settings.host, port: settings.port } : endpointOfUri(settings.uri),
  probe: probeMongodb,
  uri: (settings, at) => settings.uri ?? uriOf(at, settings.database),
  stop: { signal: 'SIGTERM', graceMs: STOP_GRACE_MS, explain: () => 'MongoDB writes its checkpoint' },
  helperPrograms: [],
  explainExit: explainMongodExit,
};
