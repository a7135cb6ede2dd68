import { describeHolder, holderOf } from '../../src/host/ports.js';
import type { Failure } from '../../src/model/failure.js';
import type { MongodbSettings } from '../../src/model/settings.js';
import type { EngineContext, EngineExit } from '../../src/ports/engine.js';
import { explainEmbeddedExit } from '../embedded-exit.js';

const EVIDENCE_LINES = 5;

type Explanation = Omit<Failure, 'unit' | 'evidence'>;

/** One row of mongod's JSON log, as far as it is read here. */
interface Row {
  readonly severity: string;
  readonly text: string;
}

/** Why mongod ended, from its exit code, its signal and its own last lines. */
export function explainMongodExit(exit: EngineExit, context: EngineContext<MongodbSettings>): Failure {
  const embedded = explainEmbeddedExit('mongodb', exit);
  if (embedded) return embedded;
  const rows = exit.logTail.map(parseRow);
  const bad = rows.filter(({ severity }) => severity === 'E' || severity === 'F').map(({ text }) => text);
  const evidence = (bad.length > 0 ? bad : exit.output.filter((line) => line.trim() !== '')).slice(-EVIDENCE_LINES);
  const all = [...rows.map(({ text }) => text), ...exit.output].join('\n');
  return { unit: 'mongodb', ...explain(exit, all, context), ...(evidence.length > 0 ? { evidence } : {}) };
}

function explain(
  { code, signal }: EngineExit,
  text: string,
  { settings }: EngineContext<MongodbSettings>,
): Explanation {
  if (signal !== null) return bySignal(signal);
  const ended = `mongod ended (exit code ${code ?? '?'})`;
  if (/no space left|ENOSPC|disk.{0,20}full/i.test(text)) {
    return {
      kind: 'disk-full',
      what: `${ended}: the disk with ${settings.dataDir} is full`,
      mend: 'Free some space, then memt up',
    };
  }
  if (code === 48 || /address already in use/i.test(text)) return portTaken(settings, code);
  if (code === 62 || /featureCompatibilityVersion|is not compatible with|downgrade/i.test(text)) {
    return {
      kind: 'engine-exited',
      what: `${ended}: the data in ${settings.dataDir} belong to another version of MongoDB`,
      cause:
        'A newer mongod has written them, or they are too old for this one: MongoDB moves by one major version at a time',
      mend: 'Start the version that wrote them (mongodb.binary), or set mongodb.dbpath to a new folder',
    };
  }
  if (/unable to lock|lock the lock file|another mongod instance/i.test(text)) {
    return {
      kind: 'data-dir',
      what: `${ended}: ${settings.dataDir} is in use by another mongod`,
      mend: `Stop that one (its pid is in ${settings.dataDir}/mongod.lock), or set mongodb.dbpath to another folder`,
    };
  }
  if (/permission denied|EACCES|attempted to create a lock file on a read-only directory/i.test(text)) {
    return {
      kind: 'data-dir',
      what: `${ended}: it may not read or write some of its files in ${settings.dataDir}`,
      cause: 'They belong to another user, for example because memt once ran as root',
      mend: `sudo chown -R ${process.geteuid?.() ?? '$(id -u)'} ${settings.dataDir}, then memt up`,
    };
  }
  if (code === 2 || /unrecognised option|error parsing/i.test(text)) {
    return {
      kind: 'engine-exited',
      what: `${ended}: it does not know one of the options that memt gives it`,
      cause: 'Its version is very old',
      mend: 'MongoDB 4.2 or newer is needed',
    };
  }
  if (code === 100) {
    return {
      kind: 'data-dir',
      what: `${ended}: it cannot use its data in ${settings.dataDir}`,
      cause: 'Another mongod uses the folder, another version wrote it, or its files were damaged',
      mend: `See .memt/logs/mongodb.log; mongod --repair --dbpath ${settings.dataDir} mends damaged files`,
    };
  }
  if (code === 14) {
    return {
      kind: 'engine-exited',
      what: 'mongod ended abruptly (exit code 14)',
      cause:
        'It met an error that it cannot recover from: damaged files, a failing disk, or a lack of memory or file handles',
      mend: 'See .memt/logs/mongodb.log; its last error lines are above',
    };
  }
  if (code === 127 || code === 126) {
    return {
      kind: 'engine-missing',
      what: `mongod cannot be executed (exit code ${code})`,
      cause: 'A shared library is missing, or it was built for another machine',
      mend: 'Reinstall MongoDB, or use mongodb.engine = "embedded"',
    };
  }
  return {
    kind: 'engine-exited',
    what: `mongod ended with exit code ${code ?? '?'}`,
    mend: 'See .memt/logs/mongodb.log and .memt/logs/mongodb.out',
  };
}

function bySignal(signal: NodeJS.Signals): Explanation {
  if (signal === 'SIGKILL') {
    return {
      kind: 'engine-exited',
      what: 'mongod was killed (SIGKILL)',
      cause: 'Somebody killed it, or the kernel did because memory ran out (dmesg | grep -i oom tells)',
      mend: 'memt up',
    };
  }
  if (signal === 'SIGILL') {
    return {
      kind: 'engine-exited',
      what: 'mongod ended by SIGILL at its start',
      cause: 'MongoDB 5 and newer needs a CPU with AVX, which this machine lacks or hides',
      mend: 'Use MongoDB 4.4, or mongodb.engine = "embedded"',
    };
  }
  return { kind: 'engine-exited', what: `mongod ended by ${signal}`, mend: 'See .memt/logs/mongodb.log' };
}

function portTaken({ host, port }: MongodbSettings, code: number | null): Explanation {
  const holder = holderOf(port, host);
  return {
    kind: 'port-taken',
    what: holder
      ? `${host}:${port} is held by ${describeHolder(holder)} (mongod: exit code ${code ?? '?'})`
      : `${host}:${port} was taken when mongod started (exit code ${code ?? '?'})`,
    mend: `Stop it, or set another port: memt up --mongodb-port ${port + 1}`,
  };
}

/** `{"t":…,"s":"E","c":"STORAGE","id":…,"msg":"…","attr":{"error":"…"}}` as severity and one readable line. */
function parseRow(line: string): Row {
  try {
    const row = JSON.parse(line) as { s?: string; c?: string; msg?: string; attr?: Readonly<Record<string, unknown>> };
    const details = Object.values(row.attr ?? {}).map((value) =>
      typeof value === 'string' ? value : JSON.stringify(value),
    );
    const text = [row.msg ?? '', ...details].join(': ');
    return { severity: row.s ?? '', text: row.c === undefined ? text : `${row.c}: ${text}` };
  } catch {
    return { severity: '', text: line };
  }
}
