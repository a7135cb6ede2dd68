import { basename } from 'node:path';
import { identityOf } from '../host/proc.js';
import { EXIT } from '../model/exit.js';
import type { StatusReport, UnitStatus } from '../model/status.js';
import { freshHealth } from '../run/health.js';
import { livingRecord } from '../run/processes.js';
import { readStackFile, type StackFile } from '../run/stack-file.js';
import { sleep } from '../util/deadline.js';
import { packageVersion } from '../util/entries.js';
import type { Layout } from '../util/layout.js';
import { unreachable } from '../util/unreachable.js';
import { findProject, type Project } from './globals.js';
import { statusText } from './render/status.js';
import { paint, wantsColor } from './render/text.js';
import type { StatusOptions } from './status.js';

const PROBE_MS = 1500;
const WATCH_EVERY_MS = 1000;

/** Shows the stack's health; gives the exit code. */
export async function status(options: StatusOptions): Promise<number> {
  const project = findProject(options);
  const look = (): Promise<StatusReport> => lookAt(project, options);
  if (options.watch) return watch(look, options);
  const now = await look();
  print(now, options, process.stdout);
  return exitCode(now);
}

function print(now: StatusReport, options: StatusOptions, stream: NodeJS.WriteStream): void {
  const text = options.json
    ? JSON.stringify(now) + '\n'
    : statusText(now, paint(wantsColor(stream, process.env, options.color)));
  stream.write(text);
}

async function watch(look: () => Promise<StatusReport>, options: StatusOptions): Promise<number> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  let last = EXIT.ok as number;
  while (!stop.signal.aborted) {
    const now = await look();
    if (process.stdout.isTTY && !options.json) process.stdout.write('\u001B[2J\u001B[H');
    print(now, options, process.stdout);
    last = exitCode(now);
    await sleep(WATCH_EVERY_MS, stop.signal).catch(() => undefined);
  }
  return last;
}

export function exitCode(now: StatusReport): number {
  switch (now.state) {
    case 'healthy':
      return EXIT.ok;
    case 'starting':
    case 'degraded':
      return EXIT.degraded;
    case 'down':
      return EXIT.down;
    default:
      return unreachable(now.state);
  }
}

async function lookAt(project: Project, options: StatusOptions): Promise<StatusReport> {
  const { layout } = project;
  const stack = readStackFile(layout);
  if (!stack) return nothing(project, options);
  const health = freshHealth(layout, Date.now());
  // Fresh, and nobody whom it calls alive has died since: the keeper's word is as good as our own look.
  if (health && stillTrue(health.report, layout, stack)) return health.report;
  // Most looks end above: what probing needs is loaded only here.
  const [{ registry }, { report }] = await Promise.all([import('../../services/index.js'), import('../run/report.js')]);
  return report(stack, layout, registry, { probeTimeoutMs: PROBE_MS });
}

function stillTrue(seen: StatusReport, layout: Layout, stack: StackFile): boolean {
  if (stack.phase !== 'up' || seen.state !== 'healthy') return false;
  if (!livingRecord(layout, 'keeper') || !livingRecord(layout, 'pm2')) return false;
  const pids = seen.units.flatMap((unit) => unit.instances.map((one) => one.pid));
  return pids.every((pid) => pid !== null && identityOf(pid) !== undefined);
}

/** Nothing has been started here since the last `down`: the units are those of the config, when it can be read. */
async function nothing(project: Project, options: StatusOptions): Promise<StatusReport> {
  const [{ loadSettings }, { startOrder }, { stackGraph }] = await Promise.all([
    import('../config/load.js'),
    import('../plan/graph.js'),
    import('../plan/up.js'),
  ]);
  const loaded = await loadSettings({
    cwd: project.root,
    file: project.file,
    ...(options.env === undefined ? {} : { environment: options.env }),
    env: process.env,
    flags: {},
  });
  const settings = loaded.ok ? loaded.value : null;
  const names = settings ? startOrder(stackGraph(settings)) : [];
  return {
    schema: 1,
    version: packageVersion(),
    project: settings?.project ?? basename(project.root),
    environment: settings?.environment ?? 'local',
    state: 'down',
    supervisor: { keeper: 'dead', pm2: 'dead' },
    workers: {
      cpus: settings?.cpus.cpus ?? 0,
      source: settings?.cpus.source ?? 'unknown',
      wanted: settings?.web?.workers ?? 0,
    },
    units: names.map((name): UnitStatus => ({
      name,
      state: 'stopped',
      reason: 'not started',
      engine: null,
      version: null,
      url: null,
      ports: [],
      instances: [],
    })),
  };
}
