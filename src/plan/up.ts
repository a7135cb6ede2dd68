import type { Settings } from '../model/settings.js';
import { closure, type Node } from './graph.js';
import { planEngine } from './engine.js';
import type { Step, UpPlan } from './step.js';
import type { World } from './world.js';

/** The units of the settings and how they depend on each other: the only place where the order of the stack is written down. */
export function stackGraph(settings: Settings): Node[] {
  const engines = [settings.mongodb ? 'mongodb' : null, settings.rabbitmq ? 'rabbitmq' : null].filter(
    (name) => name !== null,
  );
  const workers = settings.workers.map((worker) => worker.name);
  return [
    ...engines.map((name) => ({ name, dependsOn: [] })),
    ...workers.map((name) => ({ name, dependsOn: engines })),
    ...(settings.web ? [{ name: 'web', dependsOn: engines, after: workers }] : []),
  ];
}

/**
 * The plan of `up`: pure, the same for `--dry-run` and for the run.
 * @param wanted unit names; what they depend on is added; empty = all
 * @param digests of the settings that each unit would be started with
 */
export function planUp(
  settings: Settings,
  world: World,
  wanted: readonly string[],
  digests: Readonly<Record<string, string>>,
): UpPlan {
  const graph = stackGraph(settings);
  const byName = new Map(graph.map((node) => [node.name, node]));
  const steps = closure(graph, wanted).map((name): Step => {
    const dependsOn = byName.get(name)?.dependsOn ?? [];
    const digest = digests[name] ?? '';
    switch (name) {
      case 'mongodb':
      case 'rabbitmq':
        return planEngine(name, settings, world, digest);
      default:
        return planFork(name, settings, world, digest, dependsOn);
    }
  });
  return { steps };
}

function planFork(name: string, settings: Settings, world: World, digest: string, dependsOn: readonly string[]): Step {
  const view = world.forks[name] ?? { alive: [], portTakenBy: null };
  const worker = settings.workers.find((candidate) => candidate.name === name);
  const web = worker ? null : settings.web;
  const instances = worker ? Array.from({ length: worker.processes }, (_, index) => `${name}.${index}`) : [name];
  const base = {
    unit: name,
    kind: worker ? ('worker' as const) : ('web' as const),
    engine: null,
    address: web ? `${web.host}:${web.port}` : null,
    version: null,
    program: null,
    dependsOn,
    instances,
  };
  const changed = view.alive.filter((one) => one.settingsDigest !== digest);
  const missing = instances.filter((instance) => !view.alive.some((one) => one.instance === instance));
  if (changed.length > 0) {
    return { ...base, action: 'restart', reason: 'its settings have changed', failure: null };
  }
  if (missing.length === 0) {
    const healthy = view.alive.every((one) => one.healthy);
    return { ...base, action: 'keep', reason: healthy ? 'already running' : 'running, not healthy yet', failure: null };
  }
  if (web && view.portTakenBy !== null && view.alive.length === 0) {
    return {
      ...base,
      action: 'fail',
      reason: `port ${web.port} is taken`,
      failure: {
        kind: 'port-taken',
        unit: name,
        what: `${web.host}:${web.port} is held by ${view.portTakenBy}`,
        mend: `Stop it, or: memt up --port ${web.port + 1}`,
      },
    };
  }
  const partly = missing.length < instances.length ? `${missing.join(', ')} not running` : 'not running';
  return {
    ...base,
    action: 'start',
    reason: `${partly}; ${web ? web.workersReason : count(instances.length, 'process', 'processes')}`,
    failure: null,
  };
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}
