import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { identityOf, statOf, type ProcessIdentity } from './proc.js';
import { stopProcess } from './stop.js';

/** A shell that leads its own group and has said that it is ready. */
async function shell(script: string): Promise<{ identity: ProcessIdentity; line: string; exit: Promise<unknown[]> }> {
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const exit = once(child, 'exit');
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const identity = identityOf(child.pid ?? 0);
  if (!identity) throw new Error('the shell has ended');
  return { identity, line: chunk.toString().trim(), exit };
}

describe('stopping a process', () => {
  it('asks, and waits for its end', async () => {
    const { identity, exit } = await shell('echo ready; exec sleep 60');
    expect(await stopProcess({ identity, signal: 'SIGTERM', graceMs: 5000 })).toBe('exited');
    expect(await exit).toEqual([null, 'SIGTERM']);
    expect(await stopProcess({ identity, signal: 'SIGTERM', graceMs: 5000 })).toBe('gone');
  });

  it('kills the whole group when it ignores the request', async () => {
    const { identity, line, exit } = await shell('trap "" TERM; sleep 60 & echo $!; while :; do sleep 1; done');
    const helper = Number(line);
    expect(statOf(helper)?.pgid).toBe(identity.pid);
    expect(await stopProcess({ identity, signal: 'SIGTERM', graceMs: 50 })).toBe('killed');
    expect(await exit).toEqual([null, 'SIGKILL']);
    expect(identityOf(helper)).toBeUndefined();
  });

  it('wakes a stopped process, so that it can obey', async () => {
    const { identity } = await shell('echo ready; exec sleep 60');
    process.kill(identity.pid, 'SIGSTOP');
    expect(await stopProcess({ identity, signal: 'SIGTERM', graceMs: 5000 })).toBe('exited');
  });

  it('does not wait in a hurry', async () => {
    const { identity } = await shell('trap "" TERM; echo ready; while :; do sleep 1; done');
    const hurry = new AbortController();
    const stopped = stopProcess({ identity, signal: 'SIGTERM', graceMs: 60_000, hurry: hurry.signal });
    hurry.abort();
    expect(await stopped).toBe('killed');
  });

  it('never touches another process that has the pid now', async () => {
    const { identity } = await shell('echo ready; exec sleep 60');
    const stranger = { ...identity, startTime: identity.startTime - 1 };
    expect(await stopProcess({ identity: stranger, signal: 'SIGKILL', graceMs: 0 })).toBe('gone');
    expect(identityOf(identity.pid)).toEqual(identity);
    await stopProcess({ identity, signal: 'SIGTERM', graceMs: 1000 });
  });
});
