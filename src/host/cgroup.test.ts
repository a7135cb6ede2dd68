import { describe, expect, it } from 'vitest';
import { cgroupMounts, parseCfs, parseCpuMax, readCpuFacts, readQuotas } from './cgroup.js';

const V2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';
const V1 =
  '33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n34 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory';

describe('cgroupMounts', () => {
  it.each([
    [
      'v2',
      '0::/user.slice/app.service\n',
      V2,
      [{ version: 2, mountPoint: '/sys/fs/cgroup', group: '/user.slice/app.service' }],
    ],
    [
      'v1',
      '4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n',
      V1,
      [{ version: 1, mountPoint: '/sys/fs/cgroup/cpu,cpuacct', group: '/docker/abc' }],
    ],
    [
      'v1 in a container that sees only its own group',
      '4:cpu,cpuacct:/docker/abc',
      V1.replace('0:29 / ', '0:29 /docker/abc '),
      [{ version: 1, mountPoint: '/sys/fs/cgroup/cpu,cpuacct', group: '/' }],
    ],
    [
      'v2 with a namespace below its root',
      '0::/../../init.scope',
      V2,
      [{ version: 2, mountPoint: '/sys/fs/cgroup', group: '/' }],
    ],
    [
      'hybrid: limits live in v1',
      '4:cpu,cpuacct:/a\n0::/a',
      `${V1}\n${V2}`,
      [
        { version: 1, mountPoint: '/sys/fs/cgroup/cpu,cpuacct', group: '/a' },
        { version: 2, mountPoint: '/sys/fs/cgroup', group: '/a' },
      ],
    ],
    [
      'a mount path with a blank',
      '0::/a',
      V2.replace('/sys/fs/cgroup', '/mnt/c\\040group'),
      [{ version: 2, mountPoint: '/mnt/c group', group: '/a' }],
    ],
    ['a group name with a colon', '0::/a:b', V2, [{ version: 2, mountPoint: '/sys/fs/cgroup', group: '/a:b' }]],
    ['another system', '', '', []],
    ['nonsense', 'x\n\n:::\n', 'a b\n - \n', []],
  ])('%s', (_title, cgroup, mountinfo, mounts) => {
    expect(cgroupMounts(cgroup, mountinfo)).toEqual(mounts);
  });
});

describe('quotas', () => {
  it.each([
    ['150000 100000\n', { version: 2, quota: 150_000, period: 100_000 }],
    ['25000', { version: 2, quota: 25_000, period: 100_000 }],
    ['max 100000\n', undefined],
    ['', undefined],
    ['x y', undefined],
  ])('cpu.max %j', (text, quota) => {
    expect(parseCpuMax(text)).toEqual(quota);
  });

  it.each([
    ['50000\n', '100000\n', { version: 1, quota: 50_000, period: 100_000 }],
    ['-1\n', '100000\n', undefined],
    ['', '', undefined],
    ['50000', '0', undefined],
  ])('cfs %j / %j', (quota, period, expected) => {
    expect(parseCfs(quota, period)).toEqual(expected);
  });

  it('are read from the own group and everything above it', () => {
    const machine: Readonly<Record<string, string>> = {
      '/proc/self/cgroup': '0::/a/b/c\n',
      '/proc/self/mountinfo': V2,
      '/sys/fs/cgroup/a/b/c/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/a/b/cpu.max': '300000 100000\n',
      '/sys/fs/cgroup/a/cpu.max': '150000 100000\n',
    };
    expect(readQuotas((path) => machine[path]).map(({ quota }) => quota)).toEqual([300_000, 150_000]);
  });

  it('of this machine give at least one CPU of affinity', () => {
    expect(readCpuFacts().affinity).toBeGreaterThanOrEqual(1);
  });
});
