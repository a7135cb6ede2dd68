import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { bootId, statOf } from '../host/proc.js';
import { FailureError } from '../model/failure.js';
import type { EngineLaunch } from '../ports/engine.js';
import type { Spawned } from '../ports/spawner.js';

/**
 * Spawns an engine in its own session and process group, so that neither our end nor a Ctrl-C in our terminal reaches it.
 * Its stdout and stderr are appended to the launch's file (0600). The parent may exit while it runs.
 * @throws FailureError engine-missing when the program cannot be executed
 */
export async function spawnDetached(launch: EngineLaunch): Promise<Spawned> {
  const { execa } = await import('execa');
  mkdirSync(dirname(launch.stdoutFile), { recursive: true, mode: 0o700 });
  // execa passes any descriptor on; its types list only the first few.
  const output = openSync(launch.stdoutFile, 'a', 0o600) as 3;
  try {
    const child = execa(launch.command, [...launch.args], {
      cwd: launch.cwd,
      env: { ...launch.env },
      extendEnv: false,
      detached: true,
      cleanup: false,
      reject: false,
      buffer: false,
      stdin: 'ignore',
      stdout: output,
      stderr: output,
    });
    const { pid } = child;
    // Read before the event loop can reap it: a child that is dead already is a zombie with its start time intact.
    const stat = pid === undefined ? undefined : statOf(pid);
    const exit = child.then(({ exitCode, signal }) => ({ code: exitCode ?? null, signal: signal ?? null }));
    if (pid === undefined) {
      const { code, originalMessage } = await child;
      throw cannotExecute(launch.command, code ?? originalMessage ?? 'unknown error');
    }
    child.unref();
    return { identity: { pid, startTime: stat?.startTime ?? 0, bootId: stat ? bootId() : '' }, exit };
  } finally {
    closeSync(output);
  }
}

function cannotExecute(command: string, reason: string): FailureError {
  return new FailureError({
    kind: 'engine-missing',
    what: `cannot execute ${command}: ${reason}`,
    mend: `Check it: ls -l ${command}`,
  });
}
