import type { Failure } from '../model/failure.js';
import type { EngineSettings, Settings } from '../model/settings.js';
import type { EngineMode } from '../model/unit.js';
import type { Step } from './step.js';
import type { EngineView, World } from './world.js';

const URI_KEY = { mongodb: 'mongodb.uri', rabbitmq: 'rabbitmq.url' } as const;
const PRODUCT = { mongodb: 'MongoDB', rabbitmq: 'RabbitMQ' } as const;
const PROGRAM = { mongodb: 'mongod', rabbitmq: 'rabbitmq-server' } as const;

/** Which engine runs: a configured URI, our own that runs, a healthy one on the port, the real program, else the embedded one. */
export function planEngine(unit: 'mongodb' | 'rabbitmq', settings: Settings, world: World, digest: string): Step {
  const engine = settings[unit];
  const view = world[unit];
  if (!engine || !view) throw new Error(`no settings or view of ${unit}`);
  const base = {
    unit,
    kind: unit,
    address: `${engine.host}:${engine.port}`,
    dependsOn: [],
    instances: [unit],
    failure: null,
    program: view.binary?.path ?? null,
  };
  const version = view.probe.kind === 'healthy' ? view.probe.version : null;
  const fail = (failure: Omit<Failure, 'unit'>): Step => ({
    ...base,
    action: 'fail',
    engine: null,
    version,
    reason: failure.what,
    failure: { ...failure, unit },
  });
  if (engine.uri !== null) {
    return { ...base, action: 'use', engine: 'external', version, reason: 'a URI is configured' };
  }
  if (view.own) {
    if (view.own.settingsDigest !== digest) {
      return { ...base, action: 'restart', engine: view.own.engine, version, reason: 'its settings have changed' };
    }
    const reason = view.probe.kind === 'healthy' ? 'already running' : `running, not healthy yet (${reasonOf(view)})`;
    return { ...base, action: 'keep', engine: view.own.engine, version, reason };
  }
  if (view.probe.kind !== 'refused' || view.holder !== null) return foundOnPort(unit, engine, view, base, fail);
  if (view.binaryFailure) return fail(view.binaryFailure);
  if (view.dataFailure) return fail(view.dataFailure);
  const taken = view.otherPortsTaken[0];
  if (taken) {
    return fail({
      kind: 'port-taken',
      what: `127.0.0.1:${taken.port} (its management page) is held by ${taken.holder}`,
      mend: `Stop it, or set ${unit}.managementPort to another port, or to false`,
    });
  }
  const start = (mode: EngineMode, reason: string): Step => ({
    ...base,
    action: 'start',
    engine: mode,
    version: mode === 'spawned' ? (view.binary?.version ?? null) : null,
    reason,
  });
  if (engine.engine === 'embedded') return start('embedded', 'configured: engine embedded');
  if (view.binary) return start('spawned', `found ${view.binary.path}`);
  if (engine.engine === 'auto' && settings.allowEmbedded) return start('embedded', `no ${PROGRAM[unit]} found`);
  return fail({
    kind: 'engine-missing',
    what: `no ${PROGRAM[unit]} found, and environment ${settings.environment} does not use the embedded engine`,
    mend: `Install ${PRODUCT[unit]} or set ${URI_KEY[unit]} to one that runs; to accept the embedded engine: memt up --allow-embedded`,
  });
}

function foundOnPort(
  unit: 'mongodb' | 'rabbitmq',
  engine: EngineSettings,
  view: EngineView,
  base: Omit<Step, 'action' | 'engine' | 'version' | 'reason'>,
  fail: (failure: Omit<Failure, 'unit'>) => Step,
): Step {
  const holder = view.holder ?? 'a process that cannot be seen';
  const mend = `Stop it, or set another port: memt up --${unit}-port ${engine.port + 1}`;
  const taken = (what: string, cause?: string): Step =>
    fail({ kind: 'port-taken', what, ...(cause ? { cause } : {}), mend });
  const address = base.address ?? '';
  if (view.probe.kind === 'refused') return taken(`${address} is held by ${holder}`);
  if (view.probe.owner !== null) {
    return taken(`${address} is held by ${holder}`, `It is the ${PRODUCT[unit]} of another memt project`);
  }
  if (view.probe.kind === 'healthy') {
    if (engine.adopt) {
      return {
        ...base,
        action: 'use',
        engine: 'adopted',
        version: view.probe.version,
        reason: `a healthy ${view.probe.product} ${view.probe.version} already answers there; used, never stopped`,
      };
    }
    return taken(`${address} is held by ${holder}`, `A ${PRODUCT[unit]} runs there and adopt is false`);
  }
  return taken(`${address} is held by ${holder}`, `It is not a usable ${PRODUCT[unit]}: ${reasonOf(view)}`);
}

function reasonOf(view: EngineView): string {
  return 'reason' in view.probe ? view.probe.reason : view.probe.kind;
}
