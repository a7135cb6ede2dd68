import type { InstanceStatus, StatusReport, UnitStatus } from '../../model/status.js';
import type { Paint } from './text.js';

/** The report as a table for people. */
export function statusText(report: StatusReport, colors: Paint): string {
  const { workers, supervisor } = report;
  const head = `${colors.strong(report.project)}   environment ${report.environment}   ${paintState(report.state, colors)}`;
  if (report.state === 'down' && report.units.every((unit) => unit.instances.length === 0)) {
    const names = report.units.map((unit) => unit.name).join(', ');
    return `${head}\nNothing runs${names === '' ? '' : ` of ${names}`}. Next: memt up\n`;
  }
  const lines = [
    head,
    ...report.units.flatMap((unit) => unitLines(unit, colors)),
    colors.weak(
      `web instances: ${workers.wanted} (${workers.cpus} CPUs by ${workers.source})   keeper ${supervisor.keeper}, PM2 ${supervisor.pm2}`,
    ),
    ...supervisorHint(report),
  ];
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}

function supervisorHint(report: StatusReport): string[] {
  const { keeper, pm2 } = report.supervisor;
  if (report.state === 'down' || (keeper === 'running' && pm2 === 'running')) return [];
  return [
    `The ${keeper === 'dead' ? 'keeper' : 'PM2 daemon'} is dead: nothing brings a dead process back until: memt up`,
  ];
}

function unitLines(unit: UnitStatus, colors: Paint): string[] {
  const engine =
    unit.engine === null
      ? ''
      : `${unit.engine === 'embedded' ? 'EMBEDDED, answers as' : unit.engine} ${unit.version ?? ''}`.trim();
  const counted =
    unit.engine === null
      ? `${unit.instances.filter((one) => one.state === 'healthy').length}/${unit.instances.length} healthy`
      : engine;
  const memory = unit.instances.reduce((sum, one) => sum + one.memoryBytes, 0);
  const head = [
    paintState(unit.state.padEnd(9), colors),
    unit.name.padEnd(10),
    counted.padEnd(30),
    (unit.url ?? '').padEnd(32),
    memory > 0 ? megabytes(memory) : '',
  ].join(' ');
  const reason = unit.reason === null ? [] : [`          ${colors.warn(unit.reason)}`];
  const instances =
    unit.instances.length > 1 || unit.engine === null ? unit.instances.map((one) => instanceLine(one, colors)) : [];
  return [head, ...reason, ...instances];
}

function instanceLine(one: InstanceStatus, colors: Paint): string {
  const restarts = one.restarts > 0 ? `${one.restarts} ${one.restarts === 1 ? 'restart' : 'restarts'}` : '';
  return [
    `          ${one.id.padEnd(10)}`,
    paintState(one.state.padEnd(9), colors),
    `pid ${String(one.pid ?? '-').padEnd(8)}`,
    `up ${duration(one.uptimeMs).padEnd(8)}`,
    megabytes(one.memoryBytes).padStart(7),
    restarts,
  ].join(' ');
}

function paintState(text: string, colors: Paint): string {
  const state = text.trim();
  if (state === 'healthy') return colors.good(text);
  return state === 'failed' || state === 'degraded' ? colors.bad(text) : colors.weak(text);
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MB`;
}

function duration(ms: number): string {
  const total = Math.floor(ms / 1000);
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min`;
  if (total < 86_400) return `${Math.floor(total / 3600)} h`;
  return `${Math.floor(total / 86_400)} d`;
}
