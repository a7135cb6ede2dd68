import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Settings } from '../model/settings.js';
import type { EngineMode } from '../model/unit.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import type { Layout } from '../util/layout.js';

/** What the last `up` wanted: the keeper guards it and `status` compares with it, without running the config again. */
export interface StackFile {
  readonly schema: 1;
  readonly version: string;
  /** starting until `up` has proven everything. */
  readonly phase: 'starting' | 'up' | 'stopping';
  /** Unix ms of the phase's begin. */
  readonly since: number;
  readonly settings: Settings;
  readonly units: readonly StackUnit[];
}

export interface StackUnit {
  readonly name: string;
  readonly engine: EngineMode | null;
  readonly version: string | null;
  readonly instances: readonly string[];
}

export function stackFileOf(layout: Layout): string {
  return join(layout.runDir, 'stack.json');
}

export function readStackFile(layout: Layout): StackFile | null {
  try {
    const stack = JSON.parse(readFileSync(stackFileOf(layout), 'utf8')) as { readonly schema?: unknown };
    return stack.schema === 1 ? (stack as StackFile) : null;
  } catch {
    return null; // no stack has been started here, or its file is torn: the journal still names its processes
  }
}

export function writeStackFile(layout: Layout, stack: StackFile): void {
  writeFileAtomic(stackFileOf(layout), JSON.stringify(stack));
}

/** A digest of the settings that a unit is started with: another digest means that it must be restarted to follow its config. */
export function settingsDigest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** The digest of every unit; engines' addresses count for those who use them. */
export function settingsDigests(settings: Settings): Record<string, string> {
  const { mongodb, rabbitmq, web, workers } = settings;
  const reach = [
    mongodb && [mongodb.uri, mongodb.host, mongodb.port, mongodb.database],
    rabbitmq && [rabbitmq.uri, rabbitmq.host, rabbitmq.port, rabbitmq.vhost, rabbitmq.user, rabbitmq.password],
  ];
  return {
    mongodb: settingsDigest(mongodb),
    rabbitmq: settingsDigest(rabbitmq),
    web: settingsDigest([web, reach, settings.environment]),
    ...Object.fromEntries(
      workers.map((worker) => [worker.name, settingsDigest([worker, reach, settings.environment])]),
    ),
  };
}
