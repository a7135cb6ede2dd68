/** Watches one connection: says something in time, and notices when the other side does not. */
export class Heartbeat {
  private heardAt = Date.now();
  private saidAt = Date.now();
  private timer: NodeJS.Timeout | null = null;

  heard(): void {
    this.heardAt = Date.now();
  }

  said(): void {
    this.saidAt = Date.now();
  }

  /** Begins with the negotiated interval in seconds; 0 = no heartbeats. */
  start(seconds: number, beat: () => void, missed: () => void): void {
    if (seconds === 0) return;
    const ms = seconds * 1000;
    this.timer = setInterval(() => {
      const now = Date.now();
      if (now - this.heardAt > ms * 2) missed();
      else if (now - this.saidAt >= ms / 2) beat();
    }, ms / 2);
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }
}
