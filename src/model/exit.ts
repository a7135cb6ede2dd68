/** Exit codes are a contract: scripts depend on them. */
export const EXIT = {
  ok: 0,
  /** `status`: starting or degraded. */
  degraded: 1,
  /** `status`: not running. */
  down: 3,
  usage: 64,
  /** A unit failed or a port is taken. */
  unavailable: 69,
  /** A bug in memt. */
  bug: 70,
  /** The project lock did not come free in time. */
  lock: 75,
  /** Bad config, bad entry path or unusable installation. */
  config: 78,
  interrupted: 130,
  terminated: 143,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
