import { checkInstallation } from '../config/preflight.js';
import { loadSettings } from '../config/load.js';
import { EXIT } from '../model/exit.js';
import { FAILURE_EXIT, FailureError, type Failure } from '../model/failure.js';
import type { Settings, WebSettings } from '../model/settings.js';
import { stackGraph, planUp } from '../plan/up.js';
import { startOrder } from '../plan/graph.js';
import type { UpPlan } from '../plan/step.js';
import { endStoppedKeeper } from '../run/helpers.js';
import { observe } from '../run/observe.js';
import { repair } from '../run/repair.js';
import { settingsDigests } from '../run/stack-file.js';
import { prepareStateDir } from '../run/state-dir.js';
import { interruption } from '../run/to-failure.js';
import { runUp } from '../run/up.js';
import { layoutOf, type Layout } from '../util/layout.js';
import { suggest } from '../util/suggest.js';
import { startDirectory } from './globals.js';
import { watchInterrupts, type Interrupts } from './interrupt.js';
import { chooseRenderer } from './output.js';
import { takeLock } from './project-lock.js';
import { planJson, planLines } from './render/plan.js';
import type { Renderer } from './render/renderer.js';
import type { UpVerbOptions } from './up.js';
import { wire } from './wiring.js';

/** Brings the stack up; gives the exit code. */
export async function up(units: readonly string[], options: UpVerbOptions): Promise<number> {
  const settings = await settingsOf(options);
  const names = startOrder(stackGraph(settings));
  checkUnits(units, names);
  const layout = layoutOf(settings.root);
  if (options.dryRun) return dryRun(settings, layout, units, options);
  const installed = checkInstallation(settings.root, settings.environment);
  if (!installed.ok) throw new FailureError(installed.failure);
  const prepared = prepareStateDir(layout);
  if (!prepared.ok) throw new FailureError(prepared.failure);
  if (!options.foreground) return bringUp(settings, layout, units, options);
  const { Attachment } = await import('./foreground.js');
  // From before the start on: a signal between its end and the stream of logs must not leave the stack behind.
  using attachment = new Attachment();
  const code = await bringUp(settings, layout, units, options);
  return code === EXIT.ok ? await attachment.stay(layout, options) : code;
}

async function settingsOf(options: UpVerbOptions): Promise<Settings> {
  const loaded = await loadSettings({
    cwd: startDirectory(options),
    ...(options.config === undefined ? {} : { file: options.config }),
    ...(options.env === undefined ? {} : { environment: options.env }),
    env: process.env,
    allowEmbedded: options.allowEmbedded === true,
    flags: options,
  });
  if (!loaded.ok) throw new FailureError(loaded.failure);
  return loaded.value;
}

function checkUnits(wanted: readonly string[], known: readonly string[]): void {
  const wrong = wanted.find((unit) => !known.includes(unit));
  if (wrong === undefined) return;
  const near = suggest(wrong, known);
  throw new FailureError({
    kind: 'usage',
    what: `there is no unit ${wrong}${near ? `; did you mean ${near}?` : ''}`,
    mend: `Units of this stack: ${known.join(', ')}`,
  });
}

async function planFor(
  settings: Settings,
  layout: Layout,
  units: readonly string[],
  renderer: (layout: Layout) => ReturnType<typeof wire>,
): Promise<UpPlan> {
  const world = await observe(settings, layout, renderer(layout).registry);
  return planUp(settings, world, units, settingsDigests(settings));
}

async function dryRun(
  settings: Settings,
  layout: Layout,
  units: readonly string[],
  options: UpVerbOptions,
): Promise<number> {
  const plan = await planFor(settings, layout, units, (own) => wire(own, () => undefined));
  const failed = plan.steps.find((step) => step.failure !== null)?.failure ?? null;
  process.stdout.write(
    options.json
      ? JSON.stringify(planJson(settings, plan)) + '\n'
      : planLines(settings, plan)
          .map((line) => `${line}\n`)
          .join(''),
  );
  return failed === null ? EXIT.ok : FAILURE_EXIT[failed.kind];
}

async function bringUp(
  settings: Settings,
  layout: Layout,
  units: readonly string[],
  options: UpVerbOptions,
): Promise<number> {
  const started = performance.now();
  const renderer = await chooseRenderer(options, 'up');
  const interrupts = watchInterrupts((signal) =>
    renderer.handle({ type: 'note', text: `${signal}: rolling back; once more = at once` }),
  );
  renderer.handle({ type: 'header', text: headline(settings) });
  for (const text of settings.warnings ?? []) renderer.handle({ type: 'warning', text });
  let failure: Failure | null;
  try {
    failure = await underLock(settings, layout, units, renderer, interrupts, options, started);
  } catch (error) {
    if (!interrupts.signal.aborted) throw error;
    failure = interruption(interrupts.signal.reason);
    renderer.handle({ type: 'failed', failure, rolledBack: [] });
  } finally {
    interrupts.release();
  }
  await renderer.end();
  return failure === null ? EXIT.ok : FAILURE_EXIT[failure.kind];
}

async function underLock(
  settings: Settings,
  layout: Layout,
  units: readonly string[],
  renderer: Renderer,
  interrupts: Interrupts,
  options: UpVerbOptions,
  started: number,
): Promise<Failure | null> {
  const say = (text: string): void => renderer.handle({ type: 'note', text });
  await endStoppedKeeper(layout);
  const held = await takeLock(layout, 'up', interrupts, { cancelHolder: false, say });
  let failure: Failure | null = null;
  try {
    if (held.before?.holder.verb === 'up' && held.before.outcome !== null && !isOwn(held.before.outcome)) {
      // Many `up` at once have one result: the holder's failure is ours, too.
      failure = held.before.outcome;
      renderer.handle({ type: 'failed', failure, rolledBack: [] });
      return failure;
    }
    // A `down` that we waited for may have removed the folders.
    prepareStateDir(layout);
    const repaired = await repair(layout, { hurry: interrupts.hurry, onProgress: () => undefined });
    if (repaired !== null) say(repaired);
    const context = wire(layout, (event) => renderer.handle(event));
    const plan = await planFor(settings, layout, units, () => context);
    const outcome = await runUp(context, settings, plan, {
      signal: interrupts.signal,
      hurry: interrupts.hurry,
      sequential: options.sequential === true,
    });
    failure = outcome.failure;
    if (failure !== null) renderer.handle({ type: 'failed', failure, rolledBack: outcome.rolledBack });
    else
      renderer.handle({
        type: 'done',
        verb: 'up',
        state: 'Healthy',
        durationMs: performance.now() - started,
        urls: outcome.urls,
      });
    return failure;
  } finally {
    await held.lock.release(failure);
  }
}

/** Ctrl-C in one terminal is meant for the `up` in it, not for those that waited elsewhere: they go on. */
function isOwn(outcome: Failure): boolean {
  return outcome.kind === 'interrupted' || outcome.kind === 'terminated';
}

function headline(settings: Settings): string {
  const { cpus, web, environment } = settings;
  return `memt up   environment ${environment}; ${cpus.cpus} CPUs (${cpus.source})${web ? webCount(web) : ''}`;
}

/** ` -> 2*2+1 = 5 web instances`, or ` -> 3 web instances (WEB_CONCURRENCY)` for a fixed number. */
function webCount({ workers, workersReason }: WebSettings): string {
  const formula = /^\d/.test(workersReason);
  const noun = workers === 1 ? 'web instance' : 'web instances';
  return formula ? ` -> ${workersReason} ${noun}` : ` -> ${workers} ${noun} (${workersReason.replace(/ = \d+$/, '')})`;
}
