import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Socket } from 'node:net';
import {
  METHOD,
  methodFrame,
  longString,
  shortString,
  table,
  uint16,
  uint32,
} from '../../../services/rabbitmq/amqp.js';
import { createBroker } from '../../../services/rabbitmq/embedded/server/server.js';
import { enlist, listen, relay, type Fake, type FakeSetup } from './program.js';

const VERSION = '3.13.7';
const CHANNEL_OPEN_OK = uint32(METHOD.channelOpenOk);

/** A stand-in for rabbitmq-server: reads the files that memt points it to, writes its log format, serves a look at it. */
export async function main(setup: FakeSetup): Promise<void> {
  const fake = await enlist(setup);
  const { behaviour } = fake;
  const logFile = process.env['RABBITMQ_LOGS'] ?? '/dev/null';
  const log = (level: string, text: string): void => {
    const stamp = new Date().toISOString().replace('T', ' ').replace('Z', '000+00:00');
    appendFileSync(
      logFile,
      text
        .split('\n')
        .map((line) => `${stamp} [${level}] <0.223.0> ${line}\n`)
        .join(''),
    );
  };
  const config = readFileSync(process.env['RABBITMQ_CONFIG_FILE'] ?? '', 'utf8');
  const listener = /^listeners\.tcp\.\w+ = \[?(.+?)\]?:(\d+)$/m.exec(config);
  const cluster = /^cluster_name = (.+)$/m.exec(config)?.[1] ?? '';
  if (!listener) throw new Error('no listener in the configuration');
  log('info', `\n Starting RabbitMQ ${behaviour.version ?? VERSION} on Erlang 26.2.5 [jit]`);
  if (behaviour.exit) {
    for (const line of behaviour.exit.log ?? []) appendFileSync(logFile, `${line}\n`);
    process.exit(behaviour.exit.code);
  }
  if (behaviour.trouble) {
    const texts = {
      'port-taken':
        'Failed to start Ranch listener {acceptor,{127,0,0,1},5672} in ranch_tcp:listen([]) for reason eaddrinuse (address already in use)',
      'data-locked': `ERROR: node with name "${(process.env['RABBITMQ_NODENAME'] ?? '').split('@')[0] ?? ''}" is already running on host "localhost"`,
      'data-newer': 'Feature flags: incompatible_feature_flags: the node was running a newer version',
      abort: 'BOOT FAILED\n{error,{not_a_log_file,"LATEST.LOG"}}',
      'disk-full': '{error,{write_failed,enospc}}: no space left on device',
    };
    log('error', texts[behaviour.trouble]);
    process.exit(1);
  }
  fake.onEnd(() => log('notice', 'SIGTERM received - shutting down'));
  if (behaviour.bootMs !== undefined) await new Promise((resolve) => setTimeout(resolve, behaviour.bootMs));
  if (behaviour.hang === true) return;
  try {
    const inner = await startBroker(cluster);
    await listen(fake, listener[1] ?? '', Number(listener[2]), setup.socket, (socket) => {
      if (behaviour.refuseWrites === true) serve(socket, fake, cluster);
      else relay(socket, inner, fake, CHANNEL_OPEN_OK);
    });
  } catch {
    log('error', `Failed to start Ranch listener on ${listener[2] ?? ''}: eaddrinuse (address already in use)`);
    process.exit(1);
  }
  log('info', 'Server startup complete; 0 plugins started.');
}

/** memt's own broker behind the fake's port, with the users' default password: a fake knows others only by their hash. */
async function startBroker(cluster: string): Promise<number> {
  const home = process.env['HOME'] ?? '';
  const { users, vhosts } = JSON.parse(readFileSync(join(home, 'definitions.json'), 'utf8')) as {
    readonly users: readonly { readonly name: string }[];
    readonly vhosts: readonly { readonly name: string }[];
  };
  const broker = await createBroker({
    dataDir: join(process.env['RABBITMQ_MNESIA_BASE'] ?? '', 'embedded'),
    layoutId: cluster.replace(/^memt_/, ''),
    project: 'fake',
    user: users[0]?.name ?? 'guest',
    password: 'guest',
    vhosts: vhosts.map(({ name }) => name),
  });
  return broker.listen(0);
}

/** The broker's half of a look under an alarm. */
function serve(socket: Socket, fake: Fake, cluster: string): void {
  let buffer: Buffer = Buffer.alloc(0);
  let greeted = false;
  socket.on('data', (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    if (!greeted && buffer.length >= 8) {
      greeted = true;
      buffer = buffer.subarray(8);
      const properties = table({
        product: 'RabbitMQ',
        version: fake.behaviour.version ?? VERSION,
        cluster_name: cluster,
      });
      socket.write(
        methodFrame(0, METHOD.connectionStart, Buffer.of(0, 9), properties, longString('PLAIN'), longString('en_US')),
      );
    }
    while (greeted && buffer.length >= 7 && buffer.length >= 8 + buffer.readUInt32BE(3)) {
      const size = 8 + buffer.readUInt32BE(3);
      if (buffer[0] === 1) answer(socket, buffer.readUInt16BE(1), buffer.readUInt32BE(7), fake);
      buffer = buffer.subarray(size);
    }
  });
}

function answer(socket: Socket, channel: number, method: number, fake: Fake): void {
  switch (method) {
    case METHOD.connectionStartOk:
      socket.write(methodFrame(0, METHOD.connectionTune, uint16(2047), uint32(131_072), uint16(60)));
      return;
    case METHOD.connectionOpen:
      socket.write(methodFrame(0, METHOD.connectionOpenOk, shortString('')));
      return;
    case METHOD.channelOpen:
      socket.write(methodFrame(channel, METHOD.channelOpenOk, longString('')));
      return;
    case METHOD.basicPublish:
      if (fake.behaviour.refuseWrites === true)
        socket.write(methodFrame(0, METHOD.connectionBlocked, shortString('low on disk')));
      return;
    case METHOD.channelClose:
      if (fake.behaviour.refuseWrites === true) return;
      socket.write(methodFrame(channel, METHOD.channelCloseOk));
      fake.ready();
      return;
    case METHOD.connectionClose:
      socket.end(methodFrame(0, METHOD.connectionCloseOk));
      return;
  }
}
