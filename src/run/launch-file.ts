import { join } from 'node:path';
import type { Launch } from '../model/launch.js';
import type { Settings } from '../model/settings.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import { userUmask } from '../util/private-umask.js';
import type { Layout } from '../util/layout.js';

/** Writes what a unit's processes read at their start (0600) and gives the file's path. */
export function writeLaunchFile(
  layout: Layout,
  settings: Settings,
  unit: string,
  unitSettings: unknown,
  digest: string,
  engines: Partial<Launch['engines']>,
): string {
  const launch: Launch = {
    schema: 1,
    project: settings.project,
    root: settings.root,
    environment: settings.environment,
    unit,
    env: settings.env,
    umask: userUmask(),
    settings: unitSettings,
    settingsDigest: digest,
    engines: { mongodb: engines.mongodb ?? null, rabbitmq: engines.rabbitmq ?? null },
  };
  const file = join(layout.launchDir, `${unit}.json`);
  writeFileAtomic(file, JSON.stringify(launch));
  return file;
}
