import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode, encode, int32 } from '../../../services/mongodb/bson.js';
import { createDocumentServer } from '../../../services/mongodb/embedded/server.js';
import { layoutOf } from '../../../src/util/layout.js';
import type { Behaviour } from '../behaviour.js';
import { enlist, listen, relay, type FakeSetup } from './program.js';
import type { Socket } from 'node:net';

const VALUED = ['--dbpath', '--port', '--bind_ip', '--logpath'] as const;
const FLAGS = ['--logappend', '--nounixsocket', '--ipv6'];

const VERSION = '7.0.14';
/** The last command of memt's look at a server. */
const LAST_QUESTION = Buffer.from('getCmdLineOpts');

type Options = Readonly<Record<(typeof VALUED)[number], string>>;
type Log = (severity: 'I' | 'W' | 'E' | 'F', component: string, id: number, msg: string, attr?: object) => void;

/** A stand-in for mongod: takes its flags, writes its log format, ends with its exit codes. */
export async function main(setup: FakeSetup): Promise<void> {
  const options = parse(process.argv.slice(2));
  const fake = await enlist(setup);
  const { behaviour } = fake;
  const log = logTo(options['--logpath']);
  const lock = join(options['--dbpath'], 'mongod.lock');
  log('I', 'CONTROL', 4615611, 'MongoDB starting', {
    pid: process.pid,
    port: Number(options['--port']),
    dbPath: options['--dbpath'],
    architecture: '64-bit',
    host: 'fake',
  });
  log('I', 'CONTROL', 23403, 'Build Info', { buildInfo: { version: behaviour.version ?? VERSION } });
  const quit = (code: number): never => {
    log('I', 'CONTROL', 23138, 'Shutting down', { exitCode: code });
    process.exit(code);
  };
  if (behaviour.exit) {
    for (const line of behaviour.exit.log ?? []) appendFileSync(options['--logpath'], `${line}\n`);
    process.exit(behaviour.exit.code);
  }
  if (!existsSync(options['--dbpath'])) {
    initError(
      log,
      `NonExistentPath: Data directory ${options['--dbpath']} not found. Create the missing directory or specify another path using (1) the --dbpath command line option`,
    );
    quit(100);
  }
  if (behaviour.trouble === 'data-locked' || isLocked(lock)) {
    initError(
      log,
      `DBPathInUse: Unable to lock the lock file: ${lock} (Resource temporarily unavailable). Another mongod instance is already running on the ${options['--dbpath']} directory`,
    );
    quit(100);
  }
  if (behaviour.trouble) quit(troubleOf(behaviour.trouble, log));
  writeFileSync(lock, `${process.pid}\n`);
  fake.onEnd((code) => {
    log('I', 'CONTROL', 23377, 'Received signal', { signal: 15, error: 'Terminated' });
    rmSync(lock, { force: true });
    log('I', 'CONTROL', 20565, 'Now exiting');
    log('I', 'CONTROL', 23138, 'Shutting down', { exitCode: code });
  });
  if (behaviour.bootMs !== undefined) await new Promise((resolve) => setTimeout(resolve, behaviour.bootMs));
  if (behaviour.hang === true) return;
  try {
    const inner = await startServer(options, behaviour.version ?? VERSION);
    await listen(fake, options['--bind_ip'], Number(options['--port']), setup.socket, (socket) => {
      if (behaviour.refuseWrites === true) serve(socket, behaviour);
      else relay(socket, inner, fake, LAST_QUESTION);
    });
  } catch {
    log('E', 'CONTROL', 20568, 'Error setting up listener', {
      error: { code: 9001, codeName: 'SocketException', errmsg: 'Address already in use' },
    });
    rmSync(lock, { force: true });
    quit(48);
  }
  log('I', 'NETWORK', 23015, 'Listening on', { address: options['--bind_ip'] });
  log('I', 'NETWORK', 23016, 'Waiting for connections', { port: Number(options['--port']), ssl: 'off' });
}

function parse(args: readonly string[]): Options {
  const options: Partial<Record<string, string>> = {};
  for (let at = 0; at < args.length; at += 1) {
    const flag = args[at] ?? '';
    if ((VALUED as readonly string[]).includes(flag)) options[flag] = args[(at += 1)];
    else if (!FLAGS.includes(flag)) {
      console.error(
        `Error parsing command line: unrecognised option '${flag}'\ntry 'mongod --help' for more information`,
      );
      process.exit(2);
    }
  }
  for (const flag of VALUED) {
    if (options[flag] === undefined) {
      console.error(`Error parsing command line: the required argument for option '${flag}' is missing`);
      process.exit(2);
    }
  }
  return options as Options;
}

function logTo(file: string): Log {
  return (s, c, id, msg, attr) =>
    appendFileSync(
      file,
      `${JSON.stringify({ t: { $date: new Date().toISOString().replace('Z', '+00:00') }, s, c, id, ctx: 'initandlisten', msg, ...(attr ? { attr } : {}) })}\n`,
    );
}

function initError(log: Log, error: string): void {
  log('E', 'CONTROL', 20557, 'DBException in initAndListen, terminating', { error });
}

function troubleOf(trouble: NonNullable<Behaviour['trouble']>, log: Log): number {
  switch (trouble) {
    case 'port-taken':
      log('E', 'CONTROL', 20568, 'Error setting up listener', {
        error: { code: 9001, codeName: 'SocketException', errmsg: 'Address already in use' },
      });
      return 48;
    case 'data-newer':
      log('F', 'CONTROL', 20573, 'Wrong mongod version', {
        error:
          'UPGRADE PROBLEM: Found an invalid featureCompatibilityVersion document (ERROR: Location4926900: Invalid featureCompatibilityVersion document in admin.system.version: { _id: "featureCompatibilityVersion", version: "9.0" })',
      });
      return 62;
    case 'disk-full':
      log('E', 'WT', 22435, 'WiredTiger error message', {
        error: 28,
        message: 'WiredTiger.turtle.set: handle-write: pwrite: failed to write: No space left on device',
      });
      log('F', 'ASSERT', 23089, 'Fatal assertion', { msgid: 50853, file: 'wiredtiger_util.cpp' });
      return 14;
    case 'abort':
    case 'data-locked':
      log('F', 'ASSERT', 23089, 'Fatal assertion', { msgid: 28558, error: 'WiredTigerError: WT_PANIC' });
      log('F', 'ASSERT', 23090, '\n\n***aborting after fassert() failure\n\n');
      return 14;
  }
}

/** True when a living process of the same folder holds it, as mongod's own lock does. */
function isLocked(lock: string): boolean {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    return pid > 0 && pid !== process.pid && process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** memt's own document server behind the fake's port. */
async function startServer(options: Options, version: string): Promise<number> {
  const root = options['--logpath'].replace(/\/\.memt\/logs\/[^/]+$/, '');
  const server = await createDocumentServer({
    dataDir: join(options['--dbpath'], 'embedded'),
    owner: { project: 'fake', id: layoutOf(root).id },
    version,
  });
  return server.port;
}

/** A member of a replica set that takes no writes. */
function serve(socket: Socket, { version = VERSION }: Behaviour): void {
  let buffer: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    while (buffer.length >= 4 && buffer.length >= buffer.readInt32LE(0)) {
      const request = buffer.subarray(0, buffer.readInt32LE(0));
      buffer = buffer.subarray(request.length);
      const answer =
        'buildInfo' in decode(request, 21)
          ? { version, ok: 1 }
          : { helloOk: true, isWritablePrimary: false, secondary: true, maxWireVersion: 21, ok: 1 };
      const body = Buffer.concat([Buffer.alloc(5), encode(answer)]);
      socket.write(
        Buffer.concat([int32(16 + body.length), int32(0), int32(request.readInt32LE(4)), int32(2013), body]),
      );
    }
  });
}
