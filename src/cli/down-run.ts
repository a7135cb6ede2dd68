import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { EXIT } from '../model/exit.js';
import { FAILURE_EXIT, FailureError, type Failure } from '../model/failure.js';
import { runDown } from '../run/down.js';
import { endStoppedKeeper } from '../run/helpers.js';
import type { Layout } from '../util/layout.js';
import type { DownVerbOptions } from './down.js';
import { findProject } from './globals.js';
import { watchInterrupts } from './interrupt.js';
import { chooseRenderer } from './output.js';
import { takeLock } from './project-lock.js';
import { wire } from './wiring.js';

/** Takes the stack down; gives the exit code. */
export async function down(options: DownVerbOptions): Promise<number> {
  const { layout } = findProject(options);
  if (options.purge && !(await confirmPurge(layout, options))) return EXIT.usage;
  return takeDown(layout, options);
}

export async function takeDown(layout: Layout, options: DownVerbOptions): Promise<number> {
  const started = performance.now();
  const renderer = await chooseRenderer(options, 'down');
  const interrupts = watchInterrupts((signal) =>
    renderer.handle({ type: 'note', text: `${signal}: the stop goes on; once more = kill what is left` }),
  );
  let failure: Failure | null = null;
  await endStoppedKeeper(layout);
  const held = await takeLock(layout, 'down', interrupts, {
    cancelHolder: true,
    say: (text) => renderer.handle({ type: 'note', text }),
  });
  try {
    const outcome = await runDown(
      wire(layout, (event) => renderer.handle(event)),
      interrupts.hurry,
    );
    failure = outcome.failure;
    if (failure === null && options.purge) rmSync(layout.stateDir, { recursive: true, force: true });
    if (failure !== null) renderer.handle({ type: 'failed', failure, rolledBack: [] });
    else if (!outcome.ran) renderer.handle({ type: 'note', text: 'Nothing is running.' });
    else
      renderer.handle({ type: 'done', verb: 'down', state: 'down', durationMs: performance.now() - started, urls: [] });
    if (failure === null && options.purge) renderer.handle({ type: 'note', text: `Deleted ${layout.stateDir}` });
  } finally {
    await held.lock.release(failure);
    interrupts.release();
  }
  await renderer.end();
  return failure === null ? EXIT.ok : FAILURE_EXIT[failure.kind];
}

async function confirmPurge(layout: Layout, options: DownVerbOptions): Promise<boolean> {
  if (options.yes) return true;
  if (!process.stdin.isTTY) {
    throw new FailureError({
      kind: 'usage',
      what: `--purge deletes ${layout.stateDir} with all data, and there is no terminal to ask on`,
      mend: 'memt down --purge --yes',
    });
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`Delete ${layout.stateDir} with all data and logs? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}
