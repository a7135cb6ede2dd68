import { closeSync, openSync } from 'node:fs';
import { identityOf } from '../host/proc.js';
import { FailureError } from '../model/failure.js';
import type { EngineLaunch } from '../ports/engine.js';
import type { Spawned } from '../ports/spawner.js';
import { codeOf } from '../util/errors.js';

/** Spawns an engine detached, in its own process group, with its output in the launch's file; we may end before it does. */
export async function spawnDetached(launch: EngineLaunch): Promise<Spawned> {
  const { execa } = await import('execa');
  const output = openSync(launch.stdoutFile, 'a', 0o600);
  try {
    const child = execa(launch.command, launch.args, {
      cwd: launch.cwd,
      env: launch.env,
      extendEnv: false,
      detached: true,
      cleanup: false,
      reject: false,
      stdin: 'ignore',
      stdout: output,
      stderr: output,
    });
    child.unref();
    const exit = child.then((result) => ({ code: result.exitCode ?? null, signal: result.signal ?? null, cause: result.cause }));
    const pid = child.pid;
    if (pid === undefined) {
      const { cause } = await exit;
      throw new FailureError({
        kind: 'engine-exited',
        what: `${launch.command} cannot be executed${codeOf(cause) ? ` (${codeOf(cause) ?? ''})` : ''}`,
        mend: 'Check that it is an executable program for this machine',
      });
    }
    // It may be over already: then its exit says why, and the identity names a process that is not there.
    return { identity: identityOf(pid) ?? { pid, startTime: 0, bootId: '' }, exit };
  } finally {
    closeSync(output);
  }
}
