import { describeHolder, holderOf } from '../host/ports.js';
import { readJournal, recordAlive } from '../host/journal-file.js';
import type { JournalRecord } from '../model/journal.js';
import type { MongodbSettings, RabbitmqSettings, Settings } from '../model/settings.js';
import type { EngineProbeView, EngineView, ForkView, World } from '../plan/world.js';
import type { EngineSpec, ProbeResult } from '../ports/engine.js';
import type { Registry } from '../ports/registry.js';
import type { Layout } from '../util/layout.js';
import { childStatus } from './processes.js';

const PROBE_MS = 2000;

/** Looks at everything the plan depends on; changes nothing. */
export async function observe(settings: Settings, layout: Layout, registry: Registry): Promise<World> {
  const records = readJournal(layout.journalDir).filter(recordAlive);
  const [mongodb, rabbitmq, ...forks] = await Promise.all([
    settings.mongodb ? viewEngine(registry.mongodb, settings.mongodb, settings, layout, records) : null,
    settings.rabbitmq ? viewEngine(registry.rabbitmq, settings.rabbitmq, settings, layout, records) : null,
    ...forkNames(settings).map(async (name) => [name, await viewFork(name, settings, layout, records)] as const),
  ]);
  return { id: layout.id, mongodb, rabbitmq, forks: Object.fromEntries(forks) };
}

function forkNames(settings: Settings): string[] {
  return [...settings.workers.map((worker) => worker.name), ...(settings.web ? ['web'] : [])];
}

async function viewEngine<S extends MongodbSettings | RabbitmqSettings>(
  spec: EngineSpec<S>,
  engine: S,
  settings: Settings,
  layout: Layout,
  records: readonly JournalRecord[],
): Promise<EngineView> {
  const record = records.find((candidate) => candidate.instance === spec.unit);
  const probe = await spec.probe(spec.endpoint(engine), { timeoutMs: PROBE_MS });
  const external = engine.uri !== null;
  const holder = external ? null : holderOf(engine.port, engine.host);
  const found = external || record ? null : spec.find(engine, settings.env);
  const context = { settings: engine, layout, project: settings.project };
  const otherPorts = 'managementPort' in engine && engine.managementPort !== null ? [engine.managementPort] : [];
  return {
    own:
      record?.pid != null
        ? { pid: record.pid, engine: record.engine ?? 'spawned', settingsDigest: record.settingsDigest ?? '' }
        : null,
    probe: probeView(probe),
    holder: holder ? describeHolder(holder) : null,
    binary: found && 'path' in found ? found : null,
    binaryFailure: found && 'kind' in found ? found : null,
    dataFailure: external || record ? null : spec.checkData(context),
    otherPortsTaken:
      external || record
        ? []
        : otherPorts.flatMap((port) => {
            const other = holderOf(port, engine.host);
            return other ? [{ port, holder: describeHolder(other) }] : [];
          }),
  };
}

function probeView(probe: ProbeResult): EngineProbeView {
  switch (probe.kind) {
    case 'healthy':
      return { kind: 'healthy', product: probe.product, version: probe.version, owner: probe.owner };
    case 'refused':
      return { kind: 'refused' };
    case 'silent':
      return { kind: 'silent', reason: `it listens, but says nothing within ${probe.ms} ms`, owner: null };
    case 'denied':
      return { kind: 'denied', reason: probe.reason, owner: probe.owner };
    case 'not-ready':
    case 'foreign':
      return { kind: probe.kind, reason: probe.reason, owner: null };
  }
}

async function viewFork(
  name: string,
  settings: Settings,
  layout: Layout,
  records: readonly JournalRecord[],
): Promise<ForkView> {
  const own = records.filter((record) => record.unit === name && record.role !== 'web-instance');
  const alive = await Promise.all(
    own.map(async (record) => ({
      instance: record.instance,
      pid: record.pid ?? 0,
      healthy: (await childStatus(layout, record.instance))?.state === 'healthy',
      settingsDigest: record.settingsDigest ?? '',
    })),
  );
  const port = name === 'web' ? settings.web?.port : undefined;
  const holder = port !== undefined && settings.web ? holderOf(port, settings.web.host) : null;
  // Instances whose primary was killed hold the port for us: their new primary takes it over.
  const ours = records.some((record) => record.unit === name && record.pid === holder?.pid);
  return { alive, portTakenBy: holder && !ours ? describeHolder(holder) : null };
}
