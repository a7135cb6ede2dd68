import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer, isIP } from 'node:net';
import { basename } from 'node:path';
import { codeOf } from '../util/errors.js';
import { commandOf, pids, statOf } from './proc.js';

/** Who listens on a TCP port. */
export interface PortHolder {
  /** null when its files belong to another user and we are not root. */
  readonly pid: number | null;
  readonly uid: number;
  /** Login name of `uid`, or the number when it has none. */
  readonly user: string;
  /** Full command line, empty when it cannot be read. May hold secrets: show `describeHolder` instead. */
  readonly command: string;
}

interface Listener {
  readonly address: string;
  readonly port: number;
  readonly uid: number;
  readonly inode: string;
}

const LISTEN = '0A';
/** Linux hands out ephemeral ports from here upward: a server on one may find a client sitting on it. */
const FIRST_EPHEMERAL = 32768;
const SCAN = 200;

/** Who listens on `port` so that `host` could not; null when nobody does, or where there is no /proc. */
export function holderOf(port: number, host = '0.0.0.0'): PortHolder | null {
  const listener = listeners().find((candidate) => candidate.port === port && overlaps(candidate.address, host));
  if (!listener) return null;
  const pid = pidOfSocket(listener.inode);
  return { pid, uid: listener.uid, user: userName(listener.uid), command: pid === null ? '' : commandOf(pid) };
}

/** For messages: `node (pid 4711, user ana, server.js)`. Names the program and its script, never its arguments. */
export function describeHolder(holder: PortHolder): string {
  if (holder.pid === null) return `a process of user ${holder.user}`;
  const words = holder.command.split(' ');
  const program = basename(words[0] ?? '') || (statOf(holder.pid)?.comm ?? 'a process');
  const script = words.slice(1).find((word) => /\.(?:[cm]?[jt]s|py|rb|jar|php|pl|sh)$/.test(word));
  const details = [`pid ${holder.pid}`, `user ${holder.user}`, ...(script === undefined ? [] : [basename(script)])];
  return `${program} (${details.join(', ')})`;
}

/**
 * `preferred`, or the next free port above it (at most 200 further, never an ephemeral one).
 * @throws Error when all of them are taken
 */
export async function freePort(preferred: number, host = '127.0.0.1'): Promise<number> {
  for (let port = preferred; port < Math.min(preferred + SCAN, FIRST_EPHEMERAL); port += 1) {
    if (await isFree(port, host)) return port;
  }
  throw new Error(`no free port on ${host} from ${preferred} up`);
}

/** True when `host:port` can be bound right now; nothing is left bound. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  // A bind alone would pass beside a wildcard listener, which Linux allows with SO_REUSEADDR on some families.
  if (holderOf(port, host)) return false;
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function listeners(): Listener[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      return []; // no IPv6, or not Linux
    }
    return parseListeners(text);
  });
}

/** Listening rows of /proc/net/tcp or tcp6; pure. */
export function parseListeners(text: string): Listener[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state, , , , uid, , inode] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      if (state !== LISTEN || inode === undefined) return [];
      return [{ address: decodeAddress(address), port: Number.parseInt(port, 16), uid: Number(uid), inode }];
    });
}

/** The kernel prints addresses as 32-bit words in host order: `0100007F` is 127.0.0.1. */
function decodeAddress(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => [6, 4, 2, 0].map((at) => Number.parseInt(word.slice(at, at + 2), 16)));
  if (bytes.length === 4) return bytes.join('.');
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (mapped) return bytes.slice(12).join('.');
  if (bytes.every((byte) => byte === 0)) return '::';
  if (bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return '::1';
  return Array.from({ length: 8 }, (_, at) =>
    (((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0)).toString(16),
  ).join(':');
}

/** True when a listener on `address` keeps `host` from being bound or answers in its place. */
function overlaps(address: string, host: string): boolean {
  const wanted = host === 'localhost' ? '127.0.0.1' : host;
  const any = (value: string): boolean => value === '0.0.0.0' || value === '::' || value === '';
  if (any(address) || any(wanted) || isIP(wanted) === 0) return true;
  return address === wanted || (host === 'localhost' && address === '::1');
}

function pidOfSocket(inode: string): number | null {
  const link = `socket:[${inode}]`;
  for (const pid of pids()) {
    if (holdsSocket(pid, link)) return pid;
  }
  return null;
}

function holdsSocket(pid: number, link: string): boolean {
  const folder = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return false; // gone, or another user's
  }
  return names.some((name) => {
    try {
      return readlinkSync(`${folder}/${name}`) === link;
    } catch {
      return false; // closed meanwhile
    }
  });
}

function userName(uid: number): string {
  try {
    const row = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((line) => line.split(':')[2] === String(uid));
    return row?.split(':')[0] ?? String(uid);
  } catch {
    return String(uid);
  }
}
