import { readFileSync } from 'node:fs';
import { readJournal, recordAlive } from '../../src/host/journal-file.js';
import { holderOf } from '../../src/host/ports.js';
import { commandOf, identityOf, pidsWithEnv, statOf } from '../../src/host/proc.js';
import type { JournalRecord } from '../../src/model/journal.js';
import { MEMT_ENV } from '../../src/model/launch.js';
import type { StatusReport } from '../../src/model/status.js';
import { poll, sleep } from '../../src/util/deadline.js';
import { TestProject, type ProjectOptions } from '../rig/project.js';

/** Answers its pid; `/enqueue?id=` starts a task; `/task?id=` tells its state; `/slow?ms=` takes its time. */
const APP = `import { setTimeout as sleep } from 'node:timers/promises';
import { tasks, work } from './tasks.js';
export default async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://x');
  const id = searchParams.get('id');
  try {
    if (pathname === '/enqueue') {
      await work.enqueue(Number(searchParams.get('ms') ?? 20), { id });
      response.writeHead(202).end(id);
    } else if (pathname === '/task') response.end(await tasks.handle(id).state());
    else if (pathname === '/slow') {
      await sleep(Number(searchParams.get('ms')));
      response.end('slow');
    } else response.end(String(process.pid));
  } catch (error) {
    response.writeHead(503, { 'retry-after': '1' }).end(String(error));
  }
};
`;
const TASKS = `import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from 'memt';
export const tasks = createApp();
export const work = tasks.task('work', async (ms) => { await sleep(ms); return ms; });
`;

/** A project whose web (two instances) and worker use both engines. */
export function createStack(options: ProjectOptions = {}): Promise<TestProject> {
  return TestProject.create({
    stack: (ports) => ({
      web: { app: './app.js', port: ports.web, workers: 2 },
      worker: { tasks: './tasks.js', processes: 1, concurrency: 5 },
      mongodb: { port: ports.mongodb },
      rabbitmq: { port: ports.rabbitmq, managementPort: ports.management },
    }),
    ...options,
    files: { 'app.js': APP, 'tasks.js': TASKS, ...options.files },
  });
}

export function record(project: TestProject, instance: string): JournalRecord | undefined {
  return readJournal(project.layout.journalDir).find((one) => one.instance === instance && recordAlive(one));
}

export function pidOf(project: TestProject, instance: string): number {
  const pid = record(project, instance)?.pid;
  if (pid == null) throw new Error(`${instance} does not live`);
  return pid;
}

export async function statusOf(project: TestProject): Promise<StatusReport> {
  return JSON.parse((await project.memt(['status', '--json'])).stdout) as StatusReport;
}

/** Waits for another process behind the instance. @returns its pid */
export function replaced(project: TestProject, instance: string, old: number, ms: number): Promise<number> {
  return poll(
    () => {
      const pid = record(project, instance)?.pid;
      return pid != null && pid !== old ? pid : undefined;
    },
    { everyMs: 10, ms, what: `another process for ${instance}` },
  );
}

/** Waits until `memt status --json` calls the stack healthy with keeper and PM2 running. */
export async function healthy(project: TestProject, ms: number): Promise<StatusReport> {
  const end = performance.now() + ms;
  for (;;) {
    const report = await statusOf(project);
    const { keeper, pm2 } = report.supervisor;
    if (report.state === 'healthy' && keeper === 'running' && pm2 === 'running') return report;
    if (performance.now() > end) throw new Error(`not healthy after ${ms} ms: ${JSON.stringify(report, null, 1)}`);
    await sleep(50);
  }
}

const INSTANCES = ['keeper', 'pm2', 'mongodb', 'rabbitmq', 'worker.0', 'web', 'web.0', 'web.1'];

/**
 * What is wrong with the processes of the stack right now, as sentences: one living process per journal instance, none that the journal
 * does not know or stem from, one daemon, every port with its owner.
 */
export function disorder(project: TestProject, instances: readonly string[] = INSTANCES): string[] {
  const { layout, ports } = project;
  const records = readJournal(layout.journalDir).filter(recordAlive);
  const found: string[] = [];
  const names = records.map(({ instance }) => instance).sort();
  const wanted = [...instances].sort();
  if (names.join() !== wanted.join()) found.push(`the journal names ${names.join()} instead of ${wanted.join()}`);
  const known = new Set(records.flatMap(({ pid }) => pid ?? []));
  const marked = pidsWithEnv(MEMT_ENV.runDir, layout.runDir).filter((pid) => identityOf(pid) !== undefined);
  for (let before = -1; before !== known.size;) {
    before = known.size;
    for (const pid of marked) {
      const stat = statOf(pid);
      // Being below PM2's daemon is no reason to be: only below a process that the journal names.
      if (
        stat &&
        (stat.comm === 'epmd' || known.has(stat.pgid) || (known.has(stat.ppid) && stat.ppid !== daemonOf(records)))
      )
        known.add(pid);
    }
  }
  for (const pid of marked)
    if (!known.has(pid)) found.push(`orphan ${pid}: ${commandOf(pid)} as ${variable(pid, MEMT_ENV.instance)}`);
  // Its title is cut where the path is long, so its home is looked for in its environment.
  const daemons = pidsWithEnv('PM2_HOME', layout.pm2Home).filter(
    (pid) => identityOf(pid) && commandOf(pid).startsWith('PM2 '),
  );
  if (daemons.length !== 1) found.push(`${daemons.length} PM2 daemons`);
  const primary = records.find(({ instance }) => instance === 'web')?.pid;
  for (const { instance, pid, role } of records) {
    if (role === 'web-instance' && pid !== null && statOf(pid)?.ppid !== primary)
      found.push(`${instance} is not the primary's`);
  }
  const owners = {
    web: ['web', 'web.0', 'web.1'],
    mongodb: ['mongodb'],
    rabbitmq: ['rabbitmq'],
    management: ['rabbitmq'],
  };
  for (const [port, owner] of Object.entries(owners)) {
    if (!owner.some((instance) => instances.includes(instance))) continue;
    const holder = holderOf(ports[port as keyof typeof owners], '127.0.0.1');
    const is = records.find(({ pid }) => pid === holder?.pid)?.instance;
    if (is === undefined || !owner.includes(is))
      found.push(`port of ${port} belongs to ${is ?? JSON.stringify(holder)}`);
  }
  return found;
}

function daemonOf(records: readonly JournalRecord[]): number | null | undefined {
  return records.find(({ instance }) => instance === 'pm2')?.pid;
}

function variable(pid: number, name: string): string {
  const entry = readFileSync(`/proc/${pid}/environ`, 'utf8')
    .split('\0')
    .find((one) => one.startsWith(`${name}=`));
  return entry?.slice(name.length + 1) ?? '?';
}

/** Waits until the processes are in order. @throws Error with what is not, after `ms` */
export async function inOrder(project: TestProject, ms = 5000, instances?: readonly string[]): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    const found = disorder(project, instances);
    if (found.length === 0) return;
    if (performance.now() > end) throw new Error(`out of order:\n  ${found.join('\n  ')}`);
    await sleep(25);
  }
}

/** Tasks enqueued over HTTP: an accepted one must have its outcome in the end. */
export class Tasks {
  static #next = 0;
  readonly #accepted: string[] = [];
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;

  constructor(
    private readonly project: TestProject,
    private readonly taskMs = 20,
  ) {
    this.#loop = this.#run();
  }

  /** @returns the states of all accepted tasks other than SUCCESS, after at most `ms` */
  async outcomes(ms: number): Promise<{ readonly accepted: number; readonly without: readonly string[] }> {
    this.#stop.abort();
    await this.#loop;
    const end = performance.now() + ms;
    let open = [...this.#accepted];
    while (open.length > 0 && performance.now() < end) {
      const states = await Promise.all(open.map((id) => this.#state(id)));
      open = open.filter((_, at) => states[at] !== 'SUCCESS');
      if (open.length > 0) await sleep(50);
    }
    const without = await Promise.all(open.map(async (id) => `${id}: ${await this.#state(id)}`));
    return { accepted: this.#accepted.length, without };
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const id = `t-${process.pid}-${(Tasks.#next += 1)}`;
      // An unanswered or refused request may or may not have enqueued: nothing was promised.
      const status = await fetch(`${this.#base}/enqueue?id=${id}&ms=${this.taskMs}`, { method: 'POST' }).then(
        async (response) => {
          await response.text();
          return response.status;
        },
        () => 0,
      );
      if (status === 202) this.#accepted.push(id);
      await sleep(25);
    }
  }

  async #state(id: string): Promise<string> {
    const response = await fetch(`${this.#base}/task?id=${id}`).catch(() => null);
    return response ? await response.text() : 'no answer';
  }

  get #base(): string {
    return `http://127.0.0.1:${this.project.ports.web}`;
  }
}

/** One line of the table at the end. */
export interface Cell {
  readonly cell: string;
  readonly result: string;
  readonly recoveryMs: number | null;
}

/** Prints what the tests of a file have found. */
export function printTable(cells: readonly Cell[]): void {
  const width = Math.max(...cells.map(({ cell }) => cell.length), 4);
  const line = (cell: string, ms: string, result: string): string =>
    `  ${cell.padEnd(width)}  ${ms.padStart(8)}  ${result}\n`;
  process.stdout.write(
    line('cell', 'recovery', 'result') +
      cells
        .map(({ cell, recoveryMs, result }) =>
          line(cell, recoveryMs === null ? '-' : `${recoveryMs.toFixed(0)} ms`, result),
        )
        .join(''),
  );
}
