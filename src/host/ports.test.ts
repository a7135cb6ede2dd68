import { createServer, type Server } from 'node:net';
import { describe, expect, it } from 'vitest';
import { describeHolder, freePort, holderOf, isFree, parseListeners } from './ports.js';

async function listening(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  return { server, port: typeof address === 'object' && address ? address.port : 0 };
}

const close = (server: Server): Promise<unknown> => new Promise((resolve) => server.close(resolve));

describe('the holder of a port', () => {
  it.each([
    ['127.0.0.1', { '127.0.0.1': true, localhost: true, '0.0.0.0': true, '::': true, '127.0.0.2': false }],
    ['0.0.0.0', { '127.0.0.1': true, localhost: true, '10.1.2.3': true }],
    ['127.0.0.2', { '127.0.0.2': true, '127.0.0.1': false }],
  ])('that listens on %s', async (address, expected) => {
    const { server, port } = await listening(address);
    try {
      for (const [host, held] of Object.entries(expected)) {
        expect([host, holderOf(port, host)?.pid ?? null]).toEqual([host, held ? process.pid : null]);
      }
    } finally {
      await close(server);
    }
    expect(holderOf(port)).toBeNull();
  });

  it('is named without its arguments', () => {
    const command = '/usr/bin/node --secret=x /srv/app/server.js --password hunter2';
    expect(describeHolder({ pid: 4711, uid: 1, user: 'ana', command })).toBe('node (pid 4711, user ana, server.js)');
    expect(describeHolder({ pid: null, uid: 1, user: 'ana', command: '' })).toBe('a process of user ana');
  });

  it('is read from rows of IPv4 and IPv6, listening ones only', () => {
    const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
    const row = (local: string, state: string): string =>
      `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0\n`;
    const text =
      head +
      row('0100007F:1388', '0A') +
      row('0100007F:1389', '01') +
      row('00000000000000000000000001000000:138A', '0A') +
      row('0000000000000000FFFF00000100007F:138B', '0A');
    expect(parseListeners(text).map(({ address, port, uid }) => `${address} ${port} ${uid}`)).toEqual([
      '127.0.0.1 5000 1000',
      '::1 5002 1000',
      '127.0.0.1 5003 1000',
    ]);
    expect(parseListeners('')).toEqual([]);
  });
});

describe('a free port', () => {
  it('is the preferred one, or the next above a taken one', async () => {
    const wanted = await freePort(19_000);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(wanted, '127.0.0.1', resolve));
    try {
      expect(await isFree(wanted)).toBe(false);
      const next = await freePort(wanted);
      expect(next).toBeGreaterThan(wanted);
      expect(await isFree(next)).toBe(true);
    } finally {
      await close(server);
    }
  });

  it('is never an ephemeral one', async () => {
    await expect(freePort(32_768)).rejects.toThrow(/no free port/);
  });
});
