import type { Failure } from '../model/failure.js';
import { codeOf } from '../util/errors.js';
import { hostHeader } from './probe.js';

/** How the watchdog's record begins. */
export const BLOCKED = 'the event loop was blocked';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Why an instance could not listen. Who holds a taken port is for whoever renders it to find out. */
export function listenFailure(error: Error, host: string, port: number): Failure {
  const address = hostHeader(host, port);
  switch (codeOf(error) ?? '') {
    case 'EADDRINUSE':
      return {
        kind: 'port-taken',
        what: `${address} is taken`,
        mend: `Stop its holder, or: memt up --port ${port + 1}`,
      };
    case 'EACCES':
      return {
        kind: 'config-invalid',
        what: `web.port ${port} is not allowed for this user`,
        cause: 'Ports below 1024 are for root',
        mend: 'Use a port above 1023, and nginx in front of it for port 80',
      };
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return {
        kind: 'config-invalid',
        what: `web.host ${host} is not an address of this machine`,
        mend: "Use '127.0.0.1' for this machine only, or '0.0.0.0' for every network",
      };
    case 'ERR_SERVER_ALREADY_LISTEN':
      return {
        kind: 'entry-shape',
        what: `the exported server listens by itself, and not on web.port ${port}`,
        mend: 'Let it listen on process.env.PORT, or export it without listening',
      };
    default:
      return { kind: 'unit-exited', what: `cannot listen on ${address}: ${error.message}` };
  }
}

/** `exited with code 3`, `was killed by SIGKILL`. */
export function exitText(exit: Exit): string {
  return exit.signal === null ? `exited with code ${exit.code ?? '?'}` : `was killed by ${exit.signal}`;
}

/** An instance that ended without being asked to. `doing` is what it did last, `lastWords` its last error lines. */
export function exitFailure(instance: string, exit: Exit, doing: string, lastWords: readonly string[]): Failure {
  const cause = causeOfExit(exit, lastWords);
  return {
    kind: 'unit-exited',
    what: `${instance} ${exitText(exit)} while ${doing}`,
    ...(cause === undefined ? {} : { cause }),
    ...(lastWords.length > 0 ? { evidence: lastWords } : {}),
  };
}

function causeOfExit(exit: Exit, lastWords: readonly string[]): string | undefined {
  if (lastWords.some((line) => line.includes('heap out of memory')))
    return 'It ran out of JavaScript heap (--max-old-space-size)';
  if (lastWords.some((line) => line.startsWith(BLOCKED))) return 'Code that never gives way: the log has its stack';
  if (exit.signal === 'SIGKILL') return 'Somebody sent SIGKILL; without memory the kernel does that, too';
  if (exit.signal === 'SIGSEGV' || exit.signal === 'SIGBUS') return 'A native addon crashed';
  if (exit.code === 0) return 'The application called process.exit(), or ended the instance otherwise';
  return undefined;
}

/** An instance that did not get ready in time. */
export function timeoutFailure(instance: string, doing: string, ms: number): Failure {
  return {
    kind: 'unit-timeout',
    what: `${instance} is not ready after ${Math.round(ms / 1000)} s: still ${doing}`,
    mend: doing.startsWith('importing')
      ? 'The module does not finish loading: a top-level await that never settles, or code that blocks. For slow starts: memt up --timeout 120s'
      : 'memt logs web',
  };
}
