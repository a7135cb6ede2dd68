import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, posix } from 'node:path';

/** A CPU limit of one control group: `quota` µs of CPU time in each `period` µs. */
export interface CpuQuota {
  readonly version: 1 | 2;
  readonly quota: number;
  readonly period: number;
}

/** What this machine says about our CPUs. */
export interface CpuFacts {
  /** CPUs that the scheduler lets us run on. */
  readonly affinity: number;
  /** Limits of our own control group and of every one above it. */
  readonly quotas: readonly CpuQuota[];
}

/** Where a hierarchy of control groups is mounted and which group in it is ours. */
export interface CgroupMount {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /** Our group as a path below the mount point: `/` or `/system.slice/x.service`. */
  readonly group: string;
}

/** Affinity, which libuv reads, and the quotas that it misses (nodejs/node#59200). */
export function readCpuFacts(): CpuFacts {
  return { affinity: availableParallelism(), quotas: readQuotas() };
}

/** Every CPU limit from our own control group up to the root; empty where there are none (or no /proc). */
export function readQuotas(read: (path: string) => string | undefined = readText): CpuQuota[] {
  const mounts = cgroupMounts(read('/proc/self/cgroup') ?? '', read('/proc/self/mountinfo') ?? '');
  return mounts.flatMap(({ version, mountPoint, group }) =>
    chain(group).flatMap((folder) => quotaOf(version, join(mountPoint, folder), read) ?? []),
  );
}

/** Joins /proc/self/cgroup with /proc/self/mountinfo; pure. */
export function cgroupMounts(cgroup: string, mountinfo: string): CgroupMount[] {
  const memberships = cgroup.split('\n').flatMap((line) => {
    const [id, controllers, ...path] = line.split(':');
    return id === undefined || controllers === undefined
      ? []
      : [{ controllers: controllers.split(','), path: path.join(':') }];
  });
  return mountinfo.split('\n').flatMap((line): CgroupMount[] => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '/', mountPoint] = before.split(' ').map(unescapeOctal);
    const [type, , options = ''] = after.split(' ');
    if (mountPoint === undefined || (type !== 'cgroup2' && !(type === 'cgroup' && options.split(',').includes('cpu'))))
      return [];
    const own = memberships.find(({ controllers }) =>
      type === 'cgroup2' ? controllers.join() === '' : controllers.includes('cpu'),
    );
    return own === undefined ? [] : [{ version: type === 'cgroup2' ? 2 : 1, mountPoint, group: below(root, own.path) }];
  });
}

/** Inside a container the mount often shows only our own group, while /proc names it from the host's root. */
function below(root: string, path: string): string {
  if (path.includes('..')) return '/';
  const relative =
    root === '/' ? path : path === root ? '/' : path.startsWith(`${root}/`) ? path.slice(root.length) : '/';
  return relative === '' ? '/' : relative;
}

/** The group and everything above it: `/a/b`, `/a`, `/`. */
function chain(group: string): string[] {
  const folders = [group];
  for (let folder = group; folder !== '/' && folder !== '.'; folders.push(folder)) folder = posix.dirname(folder);
  return folders;
}

function quotaOf(version: 1 | 2, folder: string, read: (path: string) => string | undefined): CpuQuota | undefined {
  if (version === 2) return parseCpuMax(read(join(folder, 'cpu.max')) ?? '');
  return parseCfs(read(join(folder, 'cpu.cfs_quota_us')) ?? '', read(join(folder, 'cpu.cfs_period_us')) ?? '');
}

/** A line of cgroup v2 `cpu.max` (`150000 100000` or `max 100000`); undefined when unlimited or unreadable. */
export function parseCpuMax(text: string): CpuQuota | undefined {
  const [quota, period = '100000'] = text.trim().split(/\s+/);
  return limit(2, quota, period);
}

/** cgroup v1 `cpu.cfs_quota_us` (-1 = unlimited) and `cpu.cfs_period_us`. */
export function parseCfs(quota: string, period: string): CpuQuota | undefined {
  return limit(1, quota.trim(), period.trim());
}

function limit(version: 1 | 2, quota: string | undefined, period: string): CpuQuota | undefined {
  const parsed = { version, quota: Number(quota), period: Number(period) } as const;
  return parsed.quota > 0 && parsed.period > 0 ? parsed : undefined;
}

/** The kernel writes blanks in mount paths as `\040`. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // not there: another kind of cgroup, or another system
  }
}
