import { readFileSync, readdirSync } from 'node:fs';

/** What tells one process from any other that ever had its pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/pid/stat: clock ticks after boot; 0 where /proc is missing. */
  readonly startTime: number;
  /** /proc/sys/kernel/random/boot_id; empty where /proc is missing. */
  readonly bootId: string;
}

export interface ProcessStat {
  readonly pid: number;
  readonly comm: string;
  /** R, S, D, Z, T, … */
  readonly state: string;
  readonly ppid: number;
  readonly pgid: number;
  readonly startTime: number;
}

let bootIdCache: string | undefined;

export function bootId(): string {
  bootIdCache ??= readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
  return bootIdCache;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // the process is gone, or belongs to another user: both mean "cannot be read"
  }
}

/** The process's row in /proc, or undefined when there is none (also off Linux). */
export function statOf(pid: number): ProcessStat | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const close = text.lastIndexOf(')');
  const rest = text.slice(close + 2).split(' ');
  return {
    pid,
    comm: text.slice(text.indexOf('(') + 1, close),
    state: rest[0] ?? '?',
    ppid: Number(rest[1]),
    pgid: Number(rest[2]),
    startTime: Number(rest[19]),
  };
}

/** The identity of a living process, or undefined. Zombies count as dead: nobody may reap them under a bare PID 1. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const stat = statOf(pid);
  if (stat)
    return stat.state === 'Z' || stat.state === 'X' ? undefined : { pid, startTime: stat.startTime, bootId: bootId() };
  if (process.platform === 'linux') return undefined;
  try {
    process.kill(pid, 0);
    return { pid, startTime: 0, bootId: '' };
  } catch {
    return undefined;
  }
}

/** True while exactly this process lives: same pid, start time and boot. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identityOf(identity.pid);
  return now !== undefined && now.startTime === identity.startTime && now.bootId === identity.bootId;
}

/** Resident memory in bytes; 0 when it cannot be read. */
export function residentBytes(pid: number): number {
  const pages = Number(readText(`/proc/${pid}/statm`)?.split(' ')[1] ?? 0);
  return pages * 4096;
}

/** Milliseconds since the process started; 0 when it cannot be read. */
export function uptimeMs(pid: number): number {
  const stat = statOf(pid);
  const up = Number(readText('/proc/uptime')?.split(' ')[0] ?? 0);
  // USER_HZ is 100 on every Linux that Node supports.
  return stat ? Math.max(0, Math.round(up * 1000 - stat.startTime * 10)) : 0;
}

/** The command line, arguments joined by spaces; empty when it cannot be read. */
export function commandOf(pid: number): string {
  return readText(`/proc/${pid}/cmdline`)?.split('\0').filter(Boolean).join(' ') ?? '';
}

export function pids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** `NAME=value` entries with which the process was started; empty when they cannot be read. */
export function environmentOf(pid: number): string[] {
  return readText(`/proc/${pid}/environ`)?.split('\0') ?? [];
}

/** Pids of our own processes whose environment holds `NAME=value`. */
export function pidsWithEnv(name: string, value: string): number[] {
  const needle = `${name}=${value}`;
  return pids().filter((pid) => environmentOf(pid).includes(needle));
}
