import { join } from 'node:path';
import { MEMT_ENV } from '../../src/model/launch.js';
import type { MongodbSettings } from '../../src/model/settings.js';
import type { Binary, EngineContext, EngineLaunch } from '../../src/ports/engine.js';

/** A mongod in the foreground of its own process group; it writes its own JSON log. */
export function launchMongod(
  { settings, layout }: EngineContext<MongodbSettings>,
  binary: Binary,
): Promise<EngineLaunch> {
  const logFile = join(layout.logDir, 'mongodb.log');
  return Promise.resolve({
    command: binary.path,
    args: [
      ...['--dbpath', settings.dataDir],
      ...['--port', String(settings.port)],
      ...['--bind_ip', settings.host],
      ...['--logpath', logFile, '--logappend'],
      '--nounixsocket',
      ...(settings.host.includes(':') ? ['--ipv6'] : []),
    ],
    cwd: layout.root,
    env: {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      HOME: settings.dataDir,
      // Names and sorting must not depend on the shell that happened to start it.
      LC_ALL: 'C',
      [MEMT_ENV.runDir]: layout.runDir,
    },
    directories: [...(settings.dataDirConfigured ? [] : [settings.dataDir]), layout.logDir],
    files: [],
    stdoutFile: join(layout.logDir, 'mongodb.out'),
    logFile,
    ports: [settings.port],
    helperPorts: [],
  });
}
