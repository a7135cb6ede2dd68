import { join } from 'node:path';
import { MEMT_ENV } from '../model/launch.js';
import { commandOf, environmentOf, pidsWithEnv, statOf } from '../host/proc.js';
import { packageRoot } from '../util/entries.js';
import type { Layout } from '../util/layout.js';
import { readStackFile } from './stack-file.js';
import { livingRecords } from './processes.js';
import { forgetDead, sweepStrays, type StopOptions } from './stop-unit.js';

/**
 * Mends what a crash left: forgets the dead, keeps the living that the journal names, stops processes of this project that it
 * does not name (a start that was killed between fork and record).
 * @returns one sentence for the user, or null when there was nothing to mend
 */
export async function repair(layout: Layout, options: StopOptions): Promise<string | null> {
  const dead = forgetDead(layout);
  if (dead === 0 && readStackFile(layout)?.phase === 'up') return null;
  const alive = livingRecords(layout).flatMap((record) => record.pid ?? []);
  const keep = descendantsOf(layout, new Set(alive));
  const strays = await sweepStrays(layout, options, (pid) => keep.has(pid) || isApplications(pid));
  if (dead === 0 && strays === 0) return null;
  const parts = [
    ...(alive.length > 0 ? [`${alive.length} processes found alive`] : []),
    ...(dead > 0 ? [`${dead} dead forgotten`] : []),
    ...(strays > 0 ? [`${strays} orphans stopped`] : []),
  ];
  return `repaired after an unclean end: ${parts.join(', ')}`;
}

/** Daemons that the application has started work on for as long as the stack: only `down` ends them. */
function isApplications(pid: number): boolean {
  const startedInside = environmentOf(pid).some((entry) => entry.startsWith(`${MEMT_ENV.instance}=`));
  return startedInside && !commandOf(pid).includes(join(packageRoot, 'dist'));
}

/** The recorded pids, all marked processes below them or in their process group, and epmd, which leaves its group while RabbitMQ needs it. */
function descendantsOf(layout: Layout, recorded: ReadonlySet<number>): Set<number> {
  const marked = pidsWithEnv(MEMT_ENV.runDir, layout.runDir);
  const keep = new Set(recorded);
  for (let before = -1; before !== keep.size;) {
    before = keep.size;
    for (const pid of marked) {
      const stat = statOf(pid);
      if (stat && (keep.has(stat.ppid) || keep.has(stat.pgid) || (recorded.size > 0 && stat.comm === 'epmd')))
        keep.add(pid);
    }
  }
  return keep;
}
