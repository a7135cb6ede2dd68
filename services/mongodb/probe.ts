import { resolveSrv } from 'node:dns/promises';
import { printable, Wire, WireError } from '../../src/host/wire.js';
import type { Endpoint, ProbeResult } from '../../src/ports/engine.js';
import { withDeadline } from '../../src/util/deadline.js';
import { codeOf } from '../../src/util/errors.js';
import { unreachable } from '../../src/util/unreachable.js';
import { layoutOf } from '../../src/util/layout.js';
import type { Document } from './bson.js';
import { ask, NotMongo } from './message.js';
import { logIn } from './scram.js';

/** MongoDB 4.2, the oldest that the driver talks to. */
const MIN_WIRE_VERSION = 8;
const UNAUTHORIZED = 13;
const COMMAND_NOT_FOUND = 59;

interface ProbeOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

interface Member {
  readonly host: string;
  readonly port: number;
}

/** What a look at one member told; `primary` names the writable one, when it is another. */
interface Look {
  readonly result: ProbeResult;
  readonly primary: Member | null;
}

/** One look at a MongoDB server: hello, login when a user is named, ping, version. Of a replica set, at its primary. */
export async function probeMongodb(endpoint: Endpoint, options: ProbeOptions): Promise<ProbeResult> {
  const deadline = performance.now() + options.timeoutMs;
  const members = await membersOf(endpoint, options.timeoutMs);
  if (typeof members === 'string') return { kind: 'not-ready', reason: members, version: null };
  let last: ProbeResult = { kind: 'refused' };
  const queue = [...members];
  const tried = new Set<string>();
  for (let member = queue.shift(); member !== undefined; member = queue.shift()) {
    if (tried.has(`${member.host}:${member.port}`)) continue;
    tried.add(`${member.host}:${member.port}`);
    // A dead member must leave time for those after it.
    const share = (deadline - performance.now()) / (1 + Math.min(queue.length, 2));
    const look = await lookAt(member, endpoint, { ...options, timeoutMs: Math.max(1, Math.round(share)) });
    if (look.result.kind === 'healthy' || look.result.kind === 'denied') return look.result;
    last = look.result;
    if (look.primary) queue.unshift(look.primary);
    if (performance.now() >= deadline) break;
  }
  return last;
}

async function membersOf(endpoint: Endpoint, timeoutMs: number): Promise<readonly Member[] | string> {
  if (endpoint.srv !== true) return [{ host: endpoint.host, port: endpoint.port }, ...(endpoint.others ?? [])];
  try {
    const records = await withDeadline(resolveSrv(`_mongodb._tcp.${endpoint.host}`), timeoutMs, 'DNS');
    return records.map(({ name, port }) => ({ host: name, port }));
  } catch (error) {
    return `its seed list _mongodb._tcp.${endpoint.host} cannot be resolved: ${codeOf(error) ?? 'no answer'}`;
  }
}

async function lookAt(member: Member, endpoint: Endpoint, options: ProbeOptions): Promise<Look> {
  let wire: Wire | undefined;
  try {
    wire = await Wire.open({
      ...member,
      tls: endpoint.tls ?? false,
      deadline: performance.now() + options.timeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    return await converse(wire, endpoint);
  } catch (error) {
    if (error instanceof WireError) return { result: ended(error, wire, options.timeoutMs), primary: null };
    if (error instanceof NotMongo) return { result: foreign(wire), primary: null };
    throw error;
  } finally {
    wire?.close();
  }
}

async function converse(wire: Wire, endpoint: Endpoint): Promise<Look> {
  let requestId = 0;
  const send = (command: Document, database?: string): Promise<Document> =>
    ask(wire, (requestId += 1), command, database);
  const source = endpoint.authSource ?? 'admin';
  const login = endpoint.user === undefined ? {} : { saslSupportedMechs: `${source}.${endpoint.user}` };
  let hello = await send({ hello: 1, helloOk: true, ...login });
  if (hello['code'] === COMMAND_NOT_FOUND) hello = await send({ isMaster: 1, ...login });
  const buildInfo = await send({ buildInfo: 1 });
  const version = typeof buildInfo['version'] === 'string' ? buildInfo['version'] : null;
  const notReady = (reason: string, primary: Member | null = null): Look => ({
    result: { kind: 'not-ready', reason, version },
    primary,
  });
  if (hello['ok'] !== 1) return notReady(`it refuses hello: ${reasonOf(hello)}`);
  if (Number(hello['maxWireVersion'] ?? 0) < MIN_WIRE_VERSION)
    return notReady(`MongoDB ${version ?? ''} is too old: 4.2 is the oldest that works`);
  if (hello['isWritablePrimary'] !== true && hello['ismaster'] !== true)
    return notReady(roleOf(hello), primaryOf(hello));
  if (endpoint.user !== undefined) {
    const mechanisms = Object.values((hello['saslSupportedMechs'] ?? {}) as Document).map(String);
    const refused = await logIn(
      { user: endpoint.user, password: endpoint.password ?? '', authSource: source },
      mechanisms,
      (command) => send(command, source),
    );
    if (refused !== null) return denied(`it refuses user ${endpoint.user} (${refused})`, version, ownerOf(hello, {}));
  }
  const ping = await send({ ping: 1 });
  if (ping['ok'] !== 1) return notReady(`ping fails: ${reasonOf(ping)}`);
  const options = await send({ getCmdLineOpts: 1 });
  const owner = ownerOf(hello, options);
  if (options['code'] === UNAUTHORIZED && endpoint.user === undefined)
    return denied('it demands a login, and no user is configured', version, owner);
  return {
    result: { kind: 'healthy', product: 'MongoDB', version: version ?? 'unknown', owner, facts: factsOf(hello) },
    primary: null,
  };
}

function denied(reason: string, version: string | null, owner: string | null): Look {
  return { result: { kind: 'denied', reason, version, owner }, primary: null };
}

function factsOf(hello: Document): Readonly<Record<string, string | number>> {
  return {
    maxWireVersion: Number(hello['maxWireVersion']),
    ...(typeof hello['setName'] === 'string' ? { replicaSet: hello['setName'] } : {}),
  };
}

function reasonOf(answer: Document): string {
  return typeof answer['errmsg'] === 'string' ? answer['errmsg'] : 'no reason given';
}

function roleOf(hello: Document): string {
  if (hello['secondary'] === true) return 'it is a secondary and takes no writes';
  if (hello['arbiterOnly'] === true) return 'it is an arbiter and holds no data';
  if (hello['isreplicaset'] === true) return 'its replica set is not initiated';
  return 'it takes no writes (no primary yet)';
}

function primaryOf(hello: Document): Member | null {
  const match = typeof hello['primary'] === 'string' ? /^\[?(.+?)\]?:(\d+)$/.exec(hello['primary']) : null;
  return match?.[1] === undefined ? null : { host: match[1], port: Number(match[2]) };
}

/** The embedded engine says whose it is; a real mongod of memt's writes its log into the project that it belongs to. */
function ownerOf(hello: Document, options: Document): string | null {
  const mark = hello['memt'];
  const own = typeof mark === 'object' && mark !== null && 'id' in mark ? mark.id : mark;
  if (typeof own === 'string') return own;
  const parsed = options['parsed'] as Document | undefined;
  const log = (parsed?.['systemLog'] as Document | undefined)?.['path'];
  const root = typeof log === 'string' ? /^(.*)\/\.memt\/logs\/mongodb\.log$/.exec(log)?.[1] : undefined;
  return root === undefined ? null : layoutOf(root).id;
}

function foreign(wire: Wire | undefined): ProbeResult {
  const first = wire?.first ?? Buffer.alloc(0);
  if (first[0] === 0x15 && first[1] === 3) return { kind: 'foreign', reason: 'it expects TLS' };
  return { kind: 'foreign', reason: `it does not speak MongoDB's protocol: "${printable(first)}"` };
}

function ended({ trouble }: WireError, wire: Wire | undefined, ms: number): ProbeResult {
  const first = wire?.first ?? Buffer.alloc(0);
  // MongoDB answers a hello with a message of its own kind, whose opcode is within the first sixteen bytes.
  const mongo = first.length >= 16 && [1, 2013].includes(first.readInt32LE(12));
  switch (trouble.kind) {
    case 'refused':
      return { kind: 'refused' };
    case 'unreachable':
      return { kind: 'not-ready', reason: `it cannot be reached: ${trouble.reason}`, version: null };
    case 'timeout':
      if (first.length === 0) return { kind: 'silent', ms };
      return mongo ? { kind: 'not-ready', reason: `it stopped answering (${ms} ms)`, version: null } : foreign(wire);
    case 'closed':
      if (first.length === 0) return { kind: 'not-ready', reason: 'it hangs up without a word', version: null };
      return mongo
        ? { kind: 'not-ready', reason: 'it hung up in the middle of an answer', version: null }
        : foreign(wire);
    case 'aborted':
      return { kind: 'not-ready', reason: 'the look was cancelled', version: null };
    default:
      return unreachable(trouble);
  }
}
