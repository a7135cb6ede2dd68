import { residentBytes, uptimeMs } from '../host/proc.js';
import type { JournalRecord } from '../model/journal.js';
import type { Settings } from '../model/settings.js';
import type { ChildStatus, InstanceStatus, StatusReport, UnitStatus } from '../model/status.js';
import type { InstanceState, StackState, UnitState } from '../model/unit.js';
import type { ProbeResult } from '../ports/engine.js';
import type { Registry } from '../ports/registry.js';
import type { Layout } from '../util/layout.js';
import { redactUri } from '../util/redact.js';
import { describeProbe } from './engines.js';
import { KEEPER, PM2_DAEMON } from './helpers.js';
import { lockedBy } from './lock.js';
import { childStatus, livingRecords } from './processes.js';
import type { StackFile, StackUnit } from './stack-file.js';

export interface ReportOptions {
  readonly probeTimeoutMs: number;
  /** What the keeper knows beyond one look, by unit or instance: restarts, why it gave up. */
  readonly notes?: ReadonlyMap<string, UnitNote>;
}
export interface UnitNote {
  readonly restarts: number;
  readonly reason: string | null;
}

/** One look at the whole stack. Loads no driver and starts nothing. */
export async function report(
  written: StackFile,
  layout: Layout,
  registry: Registry,
  options: ReportOptions,
): Promise<StatusReport> {
  const records = livingRecords(layout);
  // Nobody works on it any more: the verb that did was killed.
  const interrupted = written.phase !== 'up' && [null, 'keeper'].includes(await lockedBy(layout.lockName));
  const stack: StackFile = interrupted ? { ...written, phase: 'up' } : written;
  const looks = await Promise.all(
    stack.units
      .filter(({ name }) => isConfigured(name, stack.settings))
      .map((unit) =>
        unit.name === 'mongodb' || unit.name === 'rabbitmq'
          ? engineStatus(unit, unit.name, stack, records, registry, options)
          : forkStatus(unit, stack, layout, records, options),
      ),
  );
  const units = looks
    .map((unit) =>
      records.length === 0 && unit.state === 'failed' ? { ...unit, state: 'stopped' as const, reason: ALL_DEAD } : unit,
    )
    .map((unit) => (interrupted && records.length > 0 ? withInterruption(unit, written.phase) : unit));
  const { settings } = stack;
  const alive = (instance: string): 'running' | 'dead' =>
    records.some((record) => record.instance === instance) ? 'running' : 'dead';
  return {
    schema: 1,
    version: stack.version,
    project: settings.project,
    environment: settings.environment,
    state: stackState(units),
    supervisor: { keeper: alive(KEEPER), pm2: alive(PM2_DAEMON) },
    workers: { cpus: settings.cpus.cpus, source: settings.cpus.source, wanted: settings.web?.workers ?? 0 },
    units,
  };
}

const ALL_DEAD = 'no process of this stack lives (the machine was restarted, or all was killed): memt up';

/** A start or stop that was killed goes nowhere by itself. */
function withInterruption(unit: UnitStatus, phase: StackFile['phase']): UnitStatus {
  if (unit.state === 'healthy') return unit;
  const next =
    phase === 'stopping'
      ? 'memt down was killed half-way: memt down, or memt up'
      : 'memt up was killed half-way: memt up';
  return {
    ...unit,
    state: unit.state === 'starting' ? 'degraded' : unit.state,
    reason: `${unit.reason ?? unit.state}; ${next}`,
  };
}

function isConfigured(name: string, { mongodb, rabbitmq, web, workers }: Settings): boolean {
  switch (name) {
    case 'mongodb':
      return mongodb !== null;
    case 'rabbitmq':
      return rabbitmq !== null;
    case 'web':
      return web !== null;
    default:
      return workers.some((worker) => worker.name === name);
  }
}

/** healthy: all are; down: none runs; starting: the rest is on its way; degraded: anything else. */
export function stackState(units: readonly UnitStatus[]): StackState {
  const own = units.filter((unit) => unit.engine !== 'adopted' && unit.engine !== 'external');
  if (own.every((unit) => unit.state === 'stopped')) return 'down';
  if (units.every((unit) => unit.state === 'healthy')) return 'healthy';
  return units.every((unit) => unit.state === 'healthy' || unit.state === 'starting') ? 'starting' : 'degraded';
}

async function engineStatus(
  unit: StackUnit,
  name: 'mongodb' | 'rabbitmq',
  stack: StackFile,
  records: readonly JournalRecord[],
  registry: Registry,
  options: ReportOptions,
): Promise<UnitStatus> {
  const engine = stack.settings[name];
  if (!engine) throw new Error(`${name} has no settings`);
  const record = records.find((candidate) => candidate.instance === name);
  const pid = record?.pid ?? null;
  const foreign = unit.engine === 'adopted' || unit.engine === 'external';
  const spec = registry[name];
  // The registry pairs each spec with its own settings.
  const endpoint =
    name === 'mongodb'
      ? registry.mongodb.endpoint(stack.settings.mongodb ?? missing(name))
      : registry.rabbitmq.endpoint(stack.settings.rabbitmq ?? missing(name));
  const probe: ProbeResult =
    record || foreign ? await spec.probe(endpoint, { timeoutMs: options.probeTimeoutMs }) : { kind: 'refused' };
  const note = options.notes?.get(name);
  const up = pid === null ? 0 : uptimeMs(pid);
  const [state, reason] = engineState(probe, pid !== null || foreign, stack, up);
  const uri =
    engine.uri ??
    (name === 'mongodb' ? `mongodb://${engine.host}:${engine.port}` : `amqp://${engine.host}:${engine.port}`);
  const management =
    'managementPort' in engine && engine.managementPort !== null && !foreign ? [engine.managementPort] : [];
  return {
    name,
    state,
    reason: state === 'healthy' ? null : (note?.reason ?? reason),
    engine: unit.engine,
    version: probe.kind === 'healthy' ? probe.version : unit.version,
    url: redactUri(uri),
    ports: foreign ? [] : [engine.port, ...management],
    instances:
      foreign || pid === null
        ? []
        : [instance(name, pid, state === 'healthy' ? 'healthy' : 'degraded', up, note?.restarts ?? 0)],
  };
}

function missing(name: string): never {
  throw new Error(`${name} has no settings`);
}

function engineState(probe: ProbeResult, runs: boolean, stack: StackFile, upMs: number): [UnitState, string | null] {
  if (probe.kind === 'healthy') return ['healthy', null];
  if (!runs) return stack.phase === 'starting' ? ['starting', 'not started yet'] : ['failed', 'its process is dead'];
  const booting = upMs < stack.settings.timeouts.engineMs && (probe.kind === 'refused' || probe.kind === 'not-ready');
  return booting
    ? ['starting', `starting for ${(upMs / 1000).toFixed(0)} s: ${describeProbe(probe)}`]
    : ['degraded', describeProbe(probe)];
}

async function forkStatus(
  unit: StackUnit,
  stack: StackFile,
  layout: Layout,
  records: readonly JournalRecord[],
  options: ReportOptions,
): Promise<UnitStatus> {
  const heads = await Promise.all(
    unit.instances.map(async (name) => {
      const record = records.find((candidate) => candidate.instance === name);
      return { name, pid: record?.pid ?? null, status: record ? await childStatus(layout, name) : null };
    }),
  );
  const instances = heads.flatMap(({ name, pid, status }) =>
    instancesOf(name, pid, status, options.notes?.get(name)?.restarts ?? 0),
  );
  const web = unit.name === 'web' ? stack.settings.web : null;
  const [state, reason] = forkState(heads, instances, stack, web?.workers ?? unit.instances.length);
  return {
    name: unit.name,
    state,
    reason:
      state === 'healthy'
        ? null
        : (unit.instances.flatMap((one) => options.notes?.get(one)?.reason ?? [])[0] ?? reason),
    engine: null,
    version: null,
    url: web ? `http://${web.host}:${web.port}` : null,
    ports: web ? [web.port] : [],
    instances,
  };
}

interface Head {
  readonly name: string;
  readonly pid: number | null;
  readonly status: ChildStatus | null;
}

function instancesOf(name: string, pid: number | null, status: ChildStatus | null, restarts: number): InstanceStatus[] {
  if (pid === null) return [];
  if (!status) return [instance(name, pid, 'degraded', uptimeMs(pid), restarts)];
  if (status.instances.length === 0) return [instance(name, pid, status.state, uptimeMs(pid), restarts)];
  return status.instances.map((one) =>
    instance(one.id, one.pid, one.state, one.pid === null ? 0 : uptimeMs(one.pid), one.restarts),
  );
}

function instance(
  id: string,
  pid: number | null,
  state: InstanceState,
  upMs: number,
  restarts: number,
): InstanceStatus {
  return { id, pid, state, uptimeMs: upMs, restarts, memoryBytes: pid === null ? 0 : residentBytes(pid) };
}

function forkState(
  heads: readonly Head[],
  instances: readonly InstanceStatus[],
  stack: StackFile,
  wanted: number,
): [UnitState, string | null] {
  const failure = heads.find((head) => head.status?.failure)?.status?.failure;
  if (failure) return ['failed', failure.what];
  const healthy = instances.filter((one) => one.state === 'healthy').length;
  if (healthy >= wanted && heads.every((head) => head.status?.state === 'healthy')) return ['healthy', null];
  const dead = heads.filter((head) => head.pid === null).map((head) => head.name);
  if (heads.every((head) => head.pid === null)) {
    return stack.phase === 'starting' ? ['starting', 'not started yet'] : ['failed', 'no process of it lives'];
  }
  const reasons = [...new Set(heads.flatMap((head) => head.status?.reason ?? []))];
  const silent = heads.filter((head) => head.pid !== null && head.status === null).map((head) => head.name);
  const words = [
    `${healthy}/${wanted} healthy`,
    ...(dead.length > 0 ? [`${dead.join(', ')} not running`] : []),
    ...(silent.length > 0 ? [`${silent.join(', ')} does not answer`] : []),
    ...reasons,
  ].join('; ');
  const young = stack.phase === 'starting' || heads.every((head) => head.pid === null || uptimeMs(head.pid) < 10_000);
  if (!young) return ['degraded', words];
  const since =
    stack.phase === 'starting'
      ? Date.now() - stack.since
      : Math.max(...heads.map((head) => (head.pid === null ? 0 : uptimeMs(head.pid))));
  return ['starting', `starting for ${(since / 1000).toFixed(0)} s: ${words}`];
}
