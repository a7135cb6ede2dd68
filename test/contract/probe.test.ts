import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { decode, encode, int32, type Document } from '../../services/mongodb/bson.js';
import { probeMongodb } from '../../services/mongodb/probe.js';
import { longString, METHOD, methodFrame, shortString, table, uint16, uint32 } from '../../services/rabbitmq/amqp.js';
import { probeAmqp } from '../../services/rabbitmq/probe.js';
import type { Endpoint, ProbeResult } from '../../src/ports/engine.js';

const PROBES = { mongodb: probeMongodb, amqp: probeAmqp } as const;
const BOTH = ['mongodb', 'amqp'] as const;

/** A server that does with each connection what the test says; counts its open sockets, so that a leak shows. */
class Scripted implements AsyncDisposable {
  readonly open = new Set<Socket>();
  private constructor(
    readonly server: Server,
    readonly port: number,
  ) {}

  static async start(script: (socket: Socket) => void): Promise<Scripted> {
    const server = createServer((socket) => {
      self.open.add(socket);
      socket.on('close', () => self.open.delete(socket)).on('error', () => socket.destroy());
      script(socket);
      // A socket that nobody reads never learns that the probe has left.
      if (socket.listenerCount('data') === 0) socket.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const self = new Scripted(server, typeof address === 'object' && address ? address.port : 0);
    return self;
  }

  get endpoint(): Endpoint {
    return { host: '127.0.0.1', port: this.port };
  }

  /** Waits until the probe has let go of its socket, then closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }
}

/** Answers MongoDB commands by name; undefined = no answer. */
function mongo(answers: (command: Document) => Document | undefined): (socket: Socket) => void {
  return (socket) => {
    let buffer: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 4 && buffer.length >= buffer.readInt32LE(0)) {
        const request = buffer.subarray(0, buffer.readInt32LE(0));
        buffer = buffer.subarray(request.length);
        const answer = answers(decode(request, 21));
        if (!answer) continue;
        const body = Buffer.concat([Buffer.alloc(5), encode(answer)]);
        const message = Buffer.concat([
          int32(16 + body.length),
          int32(7),
          int32(request.readInt32LE(4)),
          int32(2013),
          body,
        ]);
        // Byte by byte in two pieces: an answer may arrive torn anywhere.
        socket.write(message.subarray(0, 3));
        socket.write(message.subarray(3));
      }
    });
  };
}

const HELLO: Document = { isWritablePrimary: true, maxWireVersion: 21, ok: 1 };
const mongod = (over: (command: Document) => Document | undefined): ((socket: Socket) => void) =>
  mongo(
    (command) =>
      over(command) ?? ('hello' in command ? HELLO : 'buildInfo' in command ? { version: '7.0.1', ok: 1 } : { ok: 1 }),
  );

const START = (properties: Record<string, string>): Buffer =>
  methodFrame(
    0,
    METHOD.connectionStart,
    Buffer.of(0, 9),
    table(properties),
    longString('PLAIN AMQPLAIN'),
    longString('en_US'),
  );
const TUNE = methodFrame(0, METHOD.connectionTune, uint16(2047), uint32(131_072), uint16(60));
const close = (code: number, text: string): Buffer =>
  methodFrame(0, METHOD.connectionClose, uint16(code), shortString(text), uint32(0));

/** A broker that answers each method with the frame given, by method id; null = no answer. */
function broker(
  over: Readonly<Record<number, Buffer | null>> = {},
  properties: Record<string, string> = { product: 'RabbitMQ', version: '3.13.7' },
): (socket: Socket) => void {
  const answers: Readonly<Record<number, Buffer | null>> = {
    [METHOD.connectionStartOk]: TUNE,
    [METHOD.connectionOpen]: methodFrame(0, METHOD.connectionOpenOk, shortString('')),
    [METHOD.channelOpen]: methodFrame(1, METHOD.channelOpenOk, longString('')),
    [METHOD.channelClose]: methodFrame(1, METHOD.channelCloseOk),
    [METHOD.connectionClose]: methodFrame(0, METHOD.connectionCloseOk),
    ...over,
  };
  return (socket) => {
    let buffer: Buffer = Buffer.alloc(0);
    let greeted = false;
    socket.on('data', (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      if (!greeted && buffer.length >= 8) {
        greeted = true;
        buffer = buffer.subarray(8);
        socket.write(START(properties));
      }
      while (greeted && buffer.length >= 7 && buffer.length >= 8 + buffer.readUInt32BE(3)) {
        const frame = buffer.subarray(0, 8 + buffer.readUInt32BE(3));
        buffer = buffer.subarray(frame.length);
        const answer = frame[0] === 1 ? answers[frame.readUInt32BE(7)] : undefined;
        if (answer) socket.write(answer);
      }
    });
  };
}

async function look(
  kind: keyof typeof PROBES,
  script: (socket: Socket) => void,
  over: Partial<Endpoint> = {},
  timeoutMs = 300,
): Promise<ProbeResult> {
  await using server = await Scripted.start(script);
  return await PROBES[kind]({ ...server.endpoint, ...over }, { timeoutMs });
}

describe.each(BOTH)('a look by %s', (kind) => {
  it('at a closed port finds nothing', async () => {
    const server = await Scripted.start(() => undefined);
    await server[Symbol.asyncDispose]();
    expect(await PROBES[kind](server.endpoint, { timeoutMs: 1000 })).toEqual({ kind: 'refused' });
  });

  it.each([
    ['an HTTP server', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', /HTTP\/1\.1 400 Bad Request/],
    ['an SSH server', 'SSH-2.0-OpenSSH_9.2\r\n', /SSH-2\.0-OpenSSH/],
    ['a Redis server', '-ERR unknown command\r\n', /-ERR unknown command/],
    ['control bytes', '\x01\x02\x1b[31m\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff', /"\.\.\.\[31m/],
    ['a TLS server', '\x15\x03\x01\x00\x02\x02\x46', /it expects TLS/],
    ['one byte and silence', 'x', /"x"/],
  ])('at %s names it as foreign', async (_name, banner, reason) => {
    const result = await look(kind, (socket) => socket.write(Buffer.from(banner, 'latin1')));
    expect(result).toMatchObject({ kind: 'foreign', reason: expect.stringMatching(reason) as string });
  });

  it('at a server that never answers keeps its deadline', async () => {
    const started = performance.now();
    expect(await look(kind, (socket) => socket.resume(), {}, 120)).toEqual({ kind: 'silent', ms: 120 });
    expect(performance.now() - started).toBeLessThan(600);
  });

  it('at a server that hangs up at once says so', async () => {
    expect(await look(kind, (socket) => socket.destroy())).toMatchObject({
      kind: 'not-ready',
      reason: 'it hangs up without a word',
    });
    expect(await look(kind, (socket) => socket.resetAndDestroy())).toMatchObject({ kind: 'not-ready' });
  });

  it('can be cancelled, before and in the middle', async () => {
    await using server = await Scripted.start((socket) => socket.resume());
    const before = AbortSignal.abort();
    expect(await PROBES[kind](server.endpoint, { timeoutMs: 5000, signal: before })).toMatchObject({
      reason: 'the look was cancelled',
    });
    const controller = new AbortController();
    server.server.once('connection', () => controller.abort());
    expect(await PROBES[kind](server.endpoint, { timeoutMs: 5000, signal: controller.signal })).toMatchObject({
      reason: 'the look was cancelled',
    });
  });

  it('at a name that does not exist says why', async () => {
    const result = await PROBES[kind]({ host: 'no-such-host.invalid', port: 1 }, { timeoutMs: 4000 });
    expect(result.kind === 'not-ready' || result.kind === 'silent').toBe(true);
  });

  it('survives random bytes of any kind', async () => {
    let seed = 7;
    const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648);
    for (let round = 0; round < 30; round += 1) {
      const bytes = Buffer.from(Array.from({ length: random() % 80 }, () => random() >> 8));
      const result = await look(kind, (socket) => socket.end(bytes), {}, 200);
      expect(['foreign', 'not-ready']).toContain(result.kind);
    }
  });
});

describe('a look at MongoDB', () => {
  it('finds a writable server healthy, with version and owner', async () => {
    const result = await look(
      'mongodb',
      mongod((command) => ('hello' in command ? { ...HELLO, memt: '0123456789ab' } : undefined)),
    );
    expect(result).toEqual({
      kind: 'healthy',
      product: 'MongoDB',
      version: '7.0.1',
      owner: '0123456789ab',
      facts: { maxWireVersion: 21 },
    });
  });

  it('knows a mongod of memt by the log that it writes', async () => {
    const result = await look(
      'mongodb',
      mongod((command) =>
        'getCmdLineOpts' in command
          ? { parsed: { systemLog: { path: '/home/ana/shop/.memt/logs/mongodb.log' } }, ok: 1 }
          : undefined,
      ),
    );
    expect(result).toMatchObject({ kind: 'healthy', owner: expect.stringMatching(/^[0-9a-f]{12}$/) as string });
  });

  it.each<[string, Document, RegExp]>([
    ['a secondary', { isWritablePrimary: false, secondary: true, maxWireVersion: 21, ok: 1 }, /secondary/],
    [
      'an uninitiated replica set',
      { isWritablePrimary: false, isreplicaset: true, maxWireVersion: 21, ok: 1 },
      /not initiated/,
    ],
    ['a server of 2018', { isWritablePrimary: true, maxWireVersion: 7, ok: 1 }, /too old/],
    ['a refusal', { ok: 0, errmsg: 'shutting down' }, /shutting down/],
  ])('does not take %s for ready', async (_name, hello, reason) => {
    const result = await look(
      'mongodb',
      mongod((command) => ('hello' in command ? hello : undefined)),
    );
    expect(result).toMatchObject({ kind: 'not-ready', reason: expect.stringMatching(reason) as string });
  });

  it('goes from a secondary to its primary', async () => {
    await using primary = await Scripted.start(mongod(() => undefined));
    const secondary = {
      isWritablePrimary: false,
      secondary: true,
      primary: `127.0.0.1:${primary.port}`,
      maxWireVersion: 21,
      ok: 1,
    };
    const result = await look(
      'mongodb',
      mongod((command) => ('hello' in command ? secondary : undefined)),
      {},
      1000,
    );
    expect(result).toMatchObject({ kind: 'healthy' });
  });

  it('asks the old way when hello is unknown', async () => {
    const result = await look(
      'mongodb',
      mongod((command) =>
        'hello' in command
          ? { ok: 0, code: 59 }
          : 'isMaster' in command
            ? { ismaster: true, maxWireVersion: 8, ok: 1 }
            : undefined,
      ),
    );
    expect(result).toMatchObject({ kind: 'healthy' });
  });

  it('is denied where a login is demanded, and where the login is refused', async () => {
    const needsLogin = mongod((command) =>
      'getCmdLineOpts' in command ? { ok: 0, code: 13, errmsg: 'requires authentication' } : undefined,
    );
    expect(await look('mongodb', needsLogin)).toMatchObject({
      kind: 'denied',
      reason: expect.stringMatching(/demands a login/) as string,
    });
    const refuses = mongod((command) =>
      'saslStart' in command ? { ok: 0, code: 18, errmsg: 'Authentication failed.' } : undefined,
    );
    expect(await look('mongodb', refuses, { user: 'ana', password: 'secret' })).toMatchObject({
      kind: 'denied',
      reason: 'it refuses user ana (Authentication failed.)',
    });
  });

  it('is not ready when it stops answering after hello', async () => {
    const result = await look(
      'mongodb',
      mongo((command) => ('hello' in command ? HELLO : undefined)),
      {},
      150,
    );
    expect(result).toMatchObject({ kind: 'not-ready', reason: 'it stopped answering (150 ms)' });
  });
});

/** The server's half of SCRAM, written from the RFC alone, for a user `ana,=` with this password. */
function scram(
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-1',
  password: string,
): (command: Document) => Document | undefined {
  const hash = mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha1';
  const salt = Buffer.from('0123456789abcdef');
  const secret = hash === 'sha256' ? password : createHash('md5').update(`ana,=:mongo:${password}`).digest('hex');
  const salted = pbkdf2Sync(secret, salt, 4096, hash === 'sha256' ? 32 : 20, hash);
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  let clientFirst = '';
  let serverFirst = '';
  return (command) => {
    if ('hello' in command) return { ...HELLO, saslSupportedMechs: { 0: mechanism } };
    const payload = Buffer.isBuffer(command['payload']) ? command['payload'].toString() : '';
    if ('saslStart' in command) {
      if (command['mechanism'] !== mechanism) return { ok: 0, code: 334, errmsg: 'mechanism not available' };
      clientFirst = payload.replace(/^n,,/, '');
      if (!clientFirst.startsWith('n=ana=2C=3D,r=')) return { ok: 0, code: 18, errmsg: 'unknown user' };
      serverFirst = `r=${clientFirst.split(',r=')[1]!}server,s=${salt.toString('base64')},i=4096`;
      return { ok: 1, conversationId: 7, done: false, payload: Buffer.from(serverFirst) };
    }
    if ('saslContinue' in command) {
      const [withoutProof = '', proof = ''] = payload.split(',p=');
      const transcript = `${clientFirst},${serverFirst},${withoutProof}`;
      const clientKey = hmac(salted, 'Client Key');
      const storedKey = createHash(hash).update(clientKey).digest();
      const signature = hmac(storedKey, transcript);
      const shown = Buffer.from(proof, 'base64').map((byte, at) => byte ^ signature[at]!);
      const right = createHash(hash).update(shown).digest().equals(storedKey) && command['conversationId'] === 7;
      if (!right) return { ok: 0, code: 18, errmsg: 'Authentication failed.' };
      return {
        ok: 1,
        conversationId: 7,
        done: true,
        payload: Buffer.from(`v=${hmac(hmac(salted, 'Server Key'), transcript).toString('base64')}`),
      };
    }
    return undefined;
  };
}

describe.each(['SCRAM-SHA-256', 'SCRAM-SHA-1'] as const)('a login by %s', (mechanism) => {
  it('succeeds with the right password and is denied with a wrong one', async () => {
    const login = { user: 'ana,=', password: 'söcret' };
    expect(await look('mongodb', mongod(scram(mechanism, 'söcret')), login, 2000)).toMatchObject({ kind: 'healthy' });
    expect(await look('mongodb', mongod(scram(mechanism, 'other')), login, 2000)).toMatchObject({
      kind: 'denied',
      reason: 'it refuses user ana,= (Authentication failed.)',
    });
  });

  it('is denied by a server that does not know the password itself', async () => {
    const honest = scram(mechanism, 'x');
    const impostor = mongod((command) => {
      const answer = honest(command);
      return 'saslContinue' in command && answer
        ? { ...answer, payload: Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`) }
        : answer;
    });
    expect(await look('mongodb', impostor, { user: 'ana,=', password: 'x' }, 2000)).toMatchObject({
      kind: 'denied',
      reason: 'it refuses user ana,= (it does not know the password itself)',
    });
  });
});

describe('a look at an AMQP broker', () => {
  it('finds a working one healthy, with version and owner', async () => {
    const properties = { product: 'RabbitMQ', version: '3.13.7', cluster_name: 'memt_0123456789ab' };
    expect(await look('amqp', broker({}, properties))).toEqual({
      kind: 'healthy',
      product: 'RabbitMQ',
      version: '3.13.7',
      owner: '0123456789ab',
      facts: { cluster: 'memt_0123456789ab' },
    });
    expect(await look('amqp', broker({}, { ...properties, memt: 'ffffffffffff' }))).toMatchObject({
      owner: 'ffffffffffff',
    });
    expect(await look('amqp', broker({}, { product: 'LavinMQ', version: '2.0' }))).toMatchObject({
      product: 'LavinMQ',
      owner: null,
    });
  });

  it.each<[string, Readonly<Record<number, Buffer | null>>, object]>([
    [
      'a wrong password',
      { [METHOD.connectionStartOk]: close(403, 'ACCESS_REFUSED') },
      { kind: 'denied', version: '3.13.7' },
    ],
    ['a missing vhost', { [METHOD.connectionOpen]: close(530, 'NOT_ALLOWED - vhost x not found') }, { kind: 'denied' }],
    [
      'a vhost that is down',
      { [METHOD.connectionOpen]: close(541, "INTERNAL_ERROR - vhost 'x' is down") },
      { kind: 'not-ready' },
    ],
    [
      'a broker that still boots',
      { [METHOD.connectionOpen]: null },
      { kind: 'not-ready', reason: 'it went quiet after connection.tune (300 ms)' },
    ],
    [
      'a disk alarm',
      { [METHOD.channelClose]: methodFrame(0, METHOD.connectionBlocked, shortString('low on disk')) },
      { kind: 'not-ready', reason: 'it accepts no messages: low on disk' },
    ],
    [
      'a user that may not publish',
      {
        [METHOD.channelClose]: methodFrame(
          1,
          METHOD.channelClose,
          uint16(403),
          shortString('ACCESS_REFUSED'),
          uint32(0),
        ),
      },
      { kind: 'healthy' },
    ],
    ['a broker that does not say goodbye', { [METHOD.connectionClose]: null }, { kind: 'healthy' }],
    [
      'a forced close',
      { [METHOD.channelOpen]: close(320, 'CONNECTION_FORCED - shutdown') },
      { kind: 'not-ready', reason: 'it closes the connection: 320 CONNECTION_FORCED - shutdown' },
    ],
  ])('tells %s', async (_name, over, expected) => {
    expect(await look('amqp', broker(over))).toMatchObject(expected);
  });

  it('is denied by a broker that hangs up on a wrong password', async () => {
    const result = await look('amqp', (socket) => {
      socket.once('data', () => {
        socket.write(START({ product: 'RabbitMQ', version: '3.0.0' }));
        socket.once('data', () => socket.end());
      });
    });
    expect(result).toMatchObject({ kind: 'denied', version: '3.0.0' });
  });

  it('names another version of AMQP', async () => {
    const result = await look('amqp', (socket) => socket.end(Buffer.from('AMQP\x03\x01\x00\x00', 'latin1')));
    expect(result).toEqual({ kind: 'foreign', reason: 'it speaks another version of AMQP (3.1.0.0)' });
  });
});
