import { printable, Wire, WireError } from '../../src/host/wire.js';
import type { Endpoint, ProbeResult } from '../../src/ports/engine.js';
import { sleep } from '../../src/util/deadline.js';
import { unreachable } from '../../src/util/unreachable.js';
import {
  emptyContentFrame,
  longString,
  METHOD,
  methodFrame,
  PROTOCOL_HEADER,
  Reader,
  shortString,
  table,
  uint16,
  uint32,
  type Table,
} from './amqp.js';

const CHANNEL = 1;
const CHANNEL_ENDS_MS = 10;
const REPLY_SUCCESS = 200;
const ACCESS_REFUSED = 403;
const NOT_ALLOWED = 530;
/** The first frame of a broker; whatever claims to be larger is no AMQP. */
const MAX_FRAME = 128 * 1024;

interface Method {
  readonly id: number;
  readonly args: Reader;
}

/** What is known so far of the server. */
interface Seen {
  product: string;
  version: string | null;
  owner: string | null;
  cluster: string;
  /** The last thing that it said, for naming where it went quiet. */
  after: string | null;
}

class Foreign extends Error {}

/**
 * One look at an AMQP broker: logs in, opens the vhost and a channel, and sends one message that no queue receives, because
 * RabbitMQ tells of a memory or disk alarm only to connections that publish. Leaves in the orderly way, so that the broker logs nothing.
 */
export async function probeAmqp(
  endpoint: Endpoint,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<ProbeResult> {
  const seen: Seen = { product: 'AMQP broker', version: null, owner: null, cluster: '', after: null };
  let wire: Wire | undefined;
  try {
    wire = await Wire.open({
      host: endpoint.host,
      port: endpoint.port,
      tls: endpoint.tls ?? false,
      deadline: performance.now() + options.timeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    return await converse(wire, endpoint, seen);
  } catch (error) {
    if (error instanceof WireError) return ended(error, seen, wire, options.timeoutMs);
    if (error instanceof Foreign || error instanceof RangeError) return foreign(wire);
    throw error;
  } finally {
    wire?.close();
  }
}

async function converse(wire: Wire, endpoint: Endpoint, seen: Seen): Promise<ProbeResult> {
  wire.write(PROTOCOL_HEADER);
  const start = await next(wire);
  if (start.id !== METHOD.connectionStart) throw new Foreign();
  start.args.uint16(); // protocol version, fixed by our header
  remember(seen, start.args.table());
  seen.after = 'connection.start';
  wire.write(startOk(endpoint));
  let tune: Method;
  try {
    tune = await next(wire);
  } catch (error) {
    // Brokers without authentication_failure_close hang up instead of answering.
    if (error instanceof WireError && error.trouble.kind === 'closed')
      return denied(seen, `it refuses user ${endpoint.user ?? 'guest'}`);
    throw error;
  }
  if (tune.id === METHOD.connectionClose) return refusal(wire, tune, seen, endpoint);
  if (tune.id !== METHOD.connectionTune) throw new Foreign();
  const [channelMax, frameMax] = [tune.args.uint16(), tune.args.uint32()];
  seen.after = 'connection.tune';
  wire.write(
    Buffer.concat([
      methodFrame(0, METHOD.connectionTuneOk, uint16(channelMax), uint32(frameMax), uint16(0)),
      methodFrame(0, METHOD.connectionOpen, shortString(endpoint.vhost ?? '/'), shortString(''), Buffer.of(0)),
    ]),
  );
  const opened = await next(wire);
  if (opened.id === METHOD.connectionClose) return refusal(wire, opened, seen, endpoint);
  if (opened.id !== METHOD.connectionOpenOk) throw new Foreign();
  seen.after = 'connection.open';
  wire.write(methodFrame(CHANNEL, METHOD.channelOpen, shortString('')));
  const channel = await next(wire);
  if (channel.id === METHOD.connectionClose) return refusal(wire, channel, seen, endpoint);
  if (channel.id === METHOD.connectionBlocked) return alarm(seen, channel);
  if (channel.id !== METHOD.channelOpenOk) throw new Foreign();
  seen.after = 'channel.open';
  return publishAndLeave(wire, seen, endpoint);
}

async function publishAndLeave(wire: Wire, seen: Seen, endpoint: Endpoint): Promise<ProbeResult> {
  wire.write(
    Buffer.concat([
      methodFrame(CHANNEL, METHOD.basicPublish, uint16(0), shortString(''), shortString('memt.probe'), Buffer.of(0)),
      emptyContentFrame(CHANNEL),
      methodFrame(CHANNEL, METHOD.channelClose, uint16(REPLY_SUCCESS), shortString('probe done'), uint32(0)),
    ]),
  );
  const settled = await next(wire);
  if (settled.id === METHOD.connectionBlocked) return alarm(seen, settled);
  if (settled.id === METHOD.connectionClose) return refusal(wire, settled, seen, endpoint);
  // channel.close-ok, or channel.close when the user may consume only: the channel has worked in both cases.
  if (settled.id === METHOD.channelClose) wire.write(methodFrame(CHANNEL, METHOD.channelCloseOk));
  else if (settled.id !== METHOD.channelCloseOk) throw new Foreign();
  // RabbitMQ says close-ok before the channel's processes are gone, and logs an error when the connection goes meanwhile.
  await sleep(CHANNEL_ENDS_MS);
  await leave(wire);
  return {
    kind: 'healthy',
    product: seen.product,
    version: seen.version ?? 'unknown',
    owner: seen.owner,
    facts: seen.cluster === '' ? {} : { cluster: seen.cluster },
  };
}

/** Waits for the broker's goodbye: a socket that just vanishes is a warning in its log. */
async function leave(wire: Wire): Promise<void> {
  wire.write(methodFrame(0, METHOD.connectionClose, uint16(REPLY_SUCCESS), shortString('probe done'), uint32(0)));
  try {
    while ((await next(wire)).id !== METHOD.connectionCloseOk);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
}

function startOk({ user = 'guest', password = 'guest' }: Endpoint): Buffer {
  const properties = table({
    product: 'memt',
    connection_name: 'memt probe',
    capabilities: table({ authentication_failure_close: true, 'connection.blocked': true }),
  });
  return methodFrame(
    0,
    METHOD.connectionStartOk,
    properties,
    shortString('PLAIN'),
    longString(`\0${user}\0${password}`),
    shortString('en_US'),
  );
}

/** The next method, whatever its channel; heartbeats are skipped. @throws Foreign when it is no AMQP */
async function next(wire: Wire): Promise<Method> {
  for (;;) {
    const header = await wire.read(7);
    const [type, length] = [header.readUInt8(0), header.readUInt32BE(3)];
    if ((type !== 1 && type !== 8) || length > MAX_FRAME) throw new Foreign();
    const payload = await wire.read(length + 1);
    if (payload[length] !== 0xce) throw new Foreign();
    if (type === 1) return { id: payload.readUInt32BE(0), args: new Reader(payload.subarray(4, length)) };
  }
}

function remember(seen: Seen, properties: Table): void {
  const text = (key: string): string => (typeof properties[key] === 'string' ? properties[key] : '');
  seen.product = text('product') || seen.product;
  seen.version = text('version') || null;
  seen.cluster = text('cluster_name');
  const mark = properties['memt'];
  const own = isTable(mark) ? mark['id'] : mark;
  seen.owner = typeof own === 'string' ? own : (/^memt_([0-9a-f]{12})(?:@|$)/.exec(seen.cluster)?.[1] ?? null);
}

function isTable(value: Table[string] | undefined): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** connection.close instead of what we asked for: says why, and leaves in the orderly way. */
function refusal(wire: Wire, close: Method, seen: Seen, endpoint: Endpoint): ProbeResult {
  const [code, text] = [close.args.uint16(), close.args.shortString()];
  wire.write(methodFrame(0, METHOD.connectionCloseOk));
  if (code === ACCESS_REFUSED) return denied(seen, `it refuses user ${endpoint.user ?? 'guest'} (${text})`);
  if (code === NOT_ALLOWED && !/is down/.test(text))
    return denied(seen, `it refuses vhost ${endpoint.vhost ?? '/'} (${text})`);
  return { kind: 'not-ready', reason: `it closes the connection: ${code} ${text}`, version: seen.version };
}

function denied(seen: Seen, reason: string): ProbeResult {
  return { kind: 'denied', reason, version: seen.version, owner: seen.owner };
}

function alarm(seen: Seen, blocked: Method): ProbeResult {
  const text = blocked.args.shortString();
  return { kind: 'not-ready', reason: `it accepts no messages: ${text || 'alarm'}`, version: seen.version };
}

function foreign(wire: Wire | undefined): ProbeResult {
  const first = wire?.first ?? Buffer.alloc(0);
  if (first.toString('latin1', 0, 4) === 'AMQP') {
    return { kind: 'foreign', reason: `it speaks another version of AMQP (${[...first.subarray(4, 8)].join('.')})` };
  }
  if (first[0] === 0x15 && first[1] === 3) return { kind: 'foreign', reason: 'it expects TLS' };
  return { kind: 'foreign', reason: `it does not speak AMQP: "${printable(first)}"` };
}

function ended({ trouble }: WireError, seen: Seen, wire: Wire | undefined, ms: number): ProbeResult {
  const { version, after } = seen;
  const strange = wire !== undefined && wire.first.length > 0 && after === null;
  switch (trouble.kind) {
    case 'refused':
      return { kind: 'refused' };
    case 'unreachable':
      return { kind: 'not-ready', reason: `it cannot be reached: ${trouble.reason}`, version };
    case 'timeout':
      if (strange) return foreign(wire);
      if (after === null) return { kind: 'silent', ms };
      return { kind: 'not-ready', reason: `it went quiet after ${after} (${ms} ms)`, version };
    case 'closed':
      if (strange) return foreign(wire);
      return {
        kind: 'not-ready',
        reason: after === null ? 'it hangs up without a word' : `it hung up after ${after}`,
        version,
      };
    case 'aborted':
      return { kind: 'not-ready', reason: 'the look was cancelled', version };
    default:
      return unreachable(trouble);
  }
}
