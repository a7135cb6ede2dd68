let before: number | undefined;

/** From now on whatever this process and its children create is for its user only: PM2 and RabbitMQ would write 0644. */
export function usePrivateUmask(): void {
  before ??= process.umask(0o077);
}

/** The umask that the user's shell gave us. */
export function userUmask(): number {
  if (before !== undefined) return before;
  const now = process.umask(0o077);
  process.umask(now);
  return now;
}
