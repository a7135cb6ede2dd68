import { readFileSync } from 'node:fs';

let before: number | undefined;

/** The umask where it cannot be read, as most systems have it. */
const USUAL = 0o022;

/** From now on whatever this process and its children create is for its user only: PM2 and RabbitMQ would write 0644. */
export function usePrivateUmask(): void {
  before ??= process.umask(0o077);
}

/** The umask that the user's shell gave us; read without writing it, which `process.umask()` does not manage. */
export function userUmask(): number {
  return before ?? currentUmask();
}

function currentUmask(): number {
  try {
    const found = /^Umask:\s+([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return found?.[1] === undefined ? USUAL : Number.parseInt(found[1], 8);
  } catch {
    return USUAL; // no /proc
  }
}
