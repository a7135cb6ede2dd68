import type { CpuFacts } from '../host/cgroup.js';
import type { CpuCount } from '../model/settings.js';

/** The CPUs that are really ours, as a real number: the smallest of affinity and every quota. Pure. */
export function cpuCount(facts: CpuFacts): CpuCount {
  let best: CpuCount = { cpus: Math.max(1, facts.affinity), source: 'affinity' };
  for (const { version, quota, period } of facts.quotas) {
    const cpus = quota / period;
    if (Number.isFinite(cpus) && cpus > 0 && cpus < best.cpus) best = { cpus, source: `cgroup v${version}` };
  }
  return best;
}
