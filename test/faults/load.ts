import { Agent, request } from 'node:http';
import { sleep } from '../../src/util/deadline.js';

/** A request without any HTTP answer. */
export interface Loss {
  /** performance.now() */
  readonly at: number;
  /** `refused`: nobody listened; `cut`: it was accepted, then the connection ended; `timeout`. */
  readonly kind: 'refused' | 'cut' | 'timeout';
}

export interface LoadResult {
  readonly answered: number;
  readonly unavailable: number;
  readonly losses: readonly Loss[];
  /** Time between the first and the last refusal, ms; 0 without any. */
  readonly refusedMs: number;
}

const PAUSE_MS = 10;
const ANSWER_MS = 10_000;

/**
 * Light HTTP load from this process: one client with a new connection for each request, two that keep theirs, about 150 requests a
 * second together. A kept connection that the server closes while it is idle is opened again, as RFC 9110 9.2.2 has it.
 */
export class Load {
  readonly #losses: Loss[] = [];
  readonly #agents = [new Agent({ keepAlive: false }), keeping(), keeping()];
  readonly #loops: Promise<void>[];
  readonly #stop = new AbortController();
  #answered = 0;
  #unavailable = 0;

  constructor(
    private readonly port: number,
    private readonly path = '/',
  ) {
    this.#loops = this.#agents.map((agent) => this.#loop(agent));
  }

  async end(): Promise<LoadResult> {
    this.#stop.abort();
    await Promise.all(this.#loops);
    for (const agent of this.#agents) agent.destroy();
    const refusals = this.#losses.filter(({ kind }) => kind === 'refused').map(({ at }) => at);
    return {
      answered: this.#answered,
      unavailable: this.#unavailable,
      losses: this.#losses,
      refusedMs: refusals.length === 0 ? 0 : Math.max(...refusals) - Math.min(...refusals),
    };
  }

  async #loop(agent: Agent): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let seen = await this.#ask(agent);
      if (seen === 'stale') seen = await this.#ask(agent);
      if (typeof seen === 'number') {
        this.#answered += 1;
        if (seen === 503) this.#unavailable += 1;
      } else {
        this.#losses.push({ at: performance.now(), kind: seen === 'stale' ? 'cut' : seen });
      }
      await sleep(PAUSE_MS);
    }
  }

  #ask(agent: Agent): Promise<number | Loss['kind'] | 'stale'> {
    return new Promise((resolve) => {
      const sent = request(
        { agent, host: '127.0.0.1', port: this.port, path: this.path, timeout: ANSWER_MS },
        (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
          response.on('error', () => resolve('cut'));
        },
      );
      sent.on('timeout', () => {
        resolve('timeout');
        sent.destroy();
      });
      sent.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED') resolve('refused');
        else resolve(sent.reusedSocket ? 'stale' : 'cut');
      });
      sent.end();
    });
  }
}

function keeping(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1 });
}
