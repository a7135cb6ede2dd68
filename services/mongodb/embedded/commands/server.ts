import { show } from '../bson/show.js';
import { Binary } from 'bson';
import { randomBytes } from 'node:crypto';
import { arch, cpus, hostname, release, totalmem, type as osType } from 'node:os';
import type { OutDoc } from '../bson/encode.js';
import { ServerError } from '../bson/server-error.js';
import { docOf, int, integer, isDoc, type Doc } from '../bson/value.js';
import type { Engine } from '../engine.js';
import type { Command, Request } from './command.js';

/** What servers of version 7.0 announce; drivers choose their dialect by it. */
const MAX_WIRE_VERSION = 21;

function hello(request: Request, engine: Engine): Doc {
  return docOf({
    helloOk: true,
    [request.name === 'hello' ? 'isWritablePrimary' : 'ismaster']: true,
    maxBsonObjectSize: int(16 * 1024 * 1024),
    maxMessageSizeBytes: int(48_000_000),
    maxWriteBatchSize: int(100_000),
    localTime: new Date(),
    logicalSessionTimeoutMinutes: int(30),
    connectionId: integer(request.connection.id),
    minWireVersion: int(0),
    maxWireVersion: int(MAX_WIRE_VERSION),
    readOnly: false,
    memt: engine.ownerDoc(),
  });
}

// Each new driver announces more in its hello; what is not known there only goes unanswered.
const helloCommand: Command = { args: ['*'], run: hello };

function fixed(args: readonly string[], run: (request: Request, engine: Engine) => OutDoc): Command {
  return { args, run };
}

function buildInfo(engine: Engine): Doc {
  return docOf({
    version: engine.version,
    versionArray: [...engine.version.split('.').map((part) => int(Number(part))), int(0)],
    gitVersion: 'memt',
    modules: [],
    memtEmbedded: true,
    memt: engine.ownerDoc(),
    allocator: 'v8',
    javascriptEngine: 'none',
    sysInfo: 'deprecated',
    openssl: docOf({ running: 'none' }),
    buildEnvironment: docOf({ distarch: arch(), target_os: process.platform }),
    bits: int(64),
    debug: false,
    maxBsonObjectSize: int(16 * 1024 * 1024),
    storageEngines: ['memt'],
  });
}

function serverStatus(engine: Engine): Doc {
  const memory = process.memoryUsage();
  return docOf({
    host: engine.host(),
    version: engine.version,
    process: 'mongod',
    pid: BigInt(process.pid),
    uptime: (Date.now() - engine.startedAt.getTime()) / 1000,
    uptimeMillis: BigInt(Date.now() - engine.startedAt.getTime()),
    localTime: new Date(),
    connections: docOf({
      current: int(engine.connections.size),
      available: int(10_000),
      totalCreated: integer(engine.connectionsMade),
    }),
    mem: docOf({
      bits: int(64),
      resident: int(Math.round(memory.rss / 1048576)),
      virtual: int(Math.round(memory.rss / 1048576)),
      supported: true,
    }),
    metrics: docOf({ cursor: docOf({ open: docOf({ total: int(engine.cursors.count) }) }) }),
    storageEngine: docOf({ name: 'memt', persistent: true, readOnly: false }),
    memt: engine.ownerDoc(),
  });
}

function hostInfo(): Doc {
  return docOf({
    system: docOf({
      currentTime: new Date(),
      hostname: hostname(),
      cpuAddrSize: int(64),
      memSizeMB: integer(Math.round(totalmem() / 1048576)),
      numCores: int(cpus().length),
      cpuArch: arch(),
    }),
    os: docOf({ type: osType(), name: osType(), version: release() }),
    extra: new Map(),
  });
}

const PARAMETERS: Doc = docOf({
  featureCompatibilityVersion: docOf({ version: '7.0' }),
  ttlMonitorEnabled: true,
  authenticationMechanisms: [],
  quiet: false,
});

function getParameter(request: Request): Doc {
  const wanted = request.body.get('getParameter');
  const all = wanted === '*' || (isDoc(wanted) && wanted.get('allParameters') === true);
  const found = new Map([...PARAMETERS].filter(([name]) => all || request.body.has(name)));
  if (found.size === 0) throw new ServerError(72, 'no option found to get');
  return found;
}

function getLog(request: Request): Doc {
  const wanted = request.body.get('getLog');
  if (wanted === '*') return docOf({ names: ['global', 'startupWarnings'] });
  if (wanted !== 'global' && wanted !== 'startupWarnings') throw new ServerError(96, `No log named ${show(wanted)}`);
  const line = JSON.stringify({
    t: { $date: new Date().toISOString() },
    s: 'W',
    c: 'CONTROL',
    id: 1,
    ctx: 'memt',
    msg: "This is memt's embedded document server: for development and tests, not for production",
  });
  return docOf({ totalLinesWritten: int(1), log: wanted === 'startupWarnings' ? [line] : [] });
}

function startSession(): Doc {
  const id = randomBytes(16);
  id[6] = ((id[6] ?? 0) & 0x0f) | 0x40;
  id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
  return docOf({ id: docOf({ id: new Binary(id, 4) }), timeoutMinutes: int(30) });
}

const nothing = (args: readonly string[] = []): Command => fixed(args, () => new Map());

export const serverCommands: Readonly<Record<string, Command>> = {
  hello: helloCommand,
  isMaster: helloCommand,
  ismaster: helloCommand,
  ping: nothing(),
  buildInfo: fixed([], (_request, engine) => buildInfo(engine)),
  buildinfo: fixed([], (_request, engine) => buildInfo(engine)),
  serverStatus: { args: ['*'], run: (_request, engine) => serverStatus(engine) },
  hostInfo: fixed([], hostInfo),
  getParameter: { args: ['*'], run: getParameter },
  getCmdLineOpts: fixed([], (_request, engine) =>
    docOf({ argv: ['memt-embedded'], parsed: docOf({ net: docOf({ port: int(engine.port) }) }) }),
  ),
  getLog: fixed([], getLog),
  connectionStatus: fixed(['showPrivileges'], () =>
    docOf({ authInfo: docOf({ authenticatedUsers: [], authenticatedUserRoles: [] }) }),
  ),
  whatsmyuri: fixed([], (request) => docOf({ you: request.connection.peer })),
  usersInfo: fixed(['showPrivileges', 'showCredentials', 'showCustomData', 'filter'], () => docOf({ users: [] })),
  listCommands: fixed([], (_request, engine) =>
    docOf({ commands: new Map(engine.commandNames().map((name) => [name, docOf({ help: '' })])) }),
  ),
  replSetGetStatus: fixed(['initialSync'], () => {
    throw new ServerError(76, 'not running with --replSet');
  }),
  startSession: fixed([], startSession),
  endSessions: nothing(),
  refreshSessions: nothing(),
  killSessions: nothing(),
  killAllSessions: nothing(),
};
