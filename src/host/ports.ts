import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { commandOf, pids, statOf } from './proc.js';

/** Who listens on a TCP port. */
export interface PortHolder {
  readonly port: number;
  /** null when its owner's /proc entries cannot be read: another user's process. */
  readonly pid: number | null;
  readonly uid: number;
  /** Its name in /etc/passwd, else the number. */
  readonly user: string;
  /** Program name; empty when unknown. */
  readonly name: string;
  readonly command: string;
}

interface Listener {
  readonly address: string;
  readonly port: number;
  readonly uid: number;
  readonly inode: string;
}

const LISTEN = '0A';

/**
 * Who listens on `port` at an address that collides with `host` (the same one, or any address). null = nobody, or no /proc.
 */
export function holderOf(port: number, host = '127.0.0.1'): PortHolder | null {
  const listener = listeners().find((one) => one.port === port && collides(one.address, host));
  if (!listener) return null;
  const pid = pidOfSocket(listener.inode);
  return {
    port,
    pid,
    uid: listener.uid,
    user: userName(listener.uid),
    name: pid === null ? '' : (statOf(pid)?.comm ?? ''),
    command: pid === null ? '' : commandOf(pid),
  };
}

/** `node (pid 4711, user ana, server.js)`. */
export function describeHolder(holder: PortHolder): string {
  if (holder.pid === null) return `a process of user ${holder.user}`;
  const script = holder.command.split(' ').slice(1).find((word) => !word.startsWith('-'));
  const shown = script === undefined ? '' : `, ${script.length > 60 ? `…${script.slice(-59)}` : script}`;
  return `${holder.name} (pid ${holder.pid}, user ${holder.user}${shown})`;
}

function listeners(): Listener[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      return []; // no IPv6, or not Linux
    }
    return text.split('\n').slice(1).flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [address, port] = (fields[1] ?? '').split(':');
      if (fields[3] !== LISTEN || address === undefined || port === undefined) return [];
      return [{ address, port: Number.parseInt(port, 16), uid: Number(fields[7]), inode: fields[9] ?? '' }];
    });
  });
}

const ANY_V4 = '00000000';
const ANY_V6 = '0'.repeat(32);
const MAPPED = /^0{16}FFFF0000/;

function collides(listening: string, host: string): boolean {
  if (listening === ANY_V4 || listening === ANY_V6) return true;
  if (host === '0.0.0.0' || host === '::') return true;
  const v4 = MAPPED.test(listening) ? listening.slice(-8) : listening;
  if (host === '::1') return listening === '00000000000000000000000001000000';
  const wanted = (host === 'localhost' ? '127.0.0.1' : host).split('.').reverse().map((part) => Number(part).toString(16).padStart(2, '0').toUpperCase()).join('');
  return v4 === wanted;
}

function pidOfSocket(inode: string): number | null {
  const target = `socket:[${inode}]`;
  for (const pid of pids()) {
    let descriptors: string[];
    try {
      descriptors = readdirSync(`/proc/${pid}/fd`);
    } catch {
      continue; // another user's process, or it has just ended
    }
    for (const descriptor of descriptors) {
      try {
        if (readlinkSync(`/proc/${pid}/fd/${descriptor}`) === target) return pid;
      } catch {
        // closed while we looked
      }
    }
  }
  return null;
}

function userName(uid: number): string {
  try {
    const row = readFileSync('/etc/passwd', 'utf8').split('\n').find((line) => line.split(':')[2] === String(uid));
    return row?.split(':')[0] ?? String(uid);
  } catch {
    return uid === process.getuid?.() ? userInfo().username : String(uid);
  }
}

/** The first port from `preferred` upward that can be bound on `host`; tries 500. */
export async function freePort(preferred: number, host = '127.0.0.1'): Promise<number> {
  for (let port = preferred; port < preferred + 500 && port < 65_536; port += 1) {
    if (await canBind(port, host)) return port;
  }
  throw new Error(`no free port from ${preferred} to ${preferred + 499} on ${host}`);
}

function canBind(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
