import type { RunEvent } from '../../model/event.js';
import { unreachable } from '../../util/unreachable.js';
import type { Renderer, Write } from './renderer.js';
import { doneLines, failureText, stepLine, type Paint } from './text.js';

/** A stop that takes longer than this says what it waits for, ms. */
const WORTH_A_LINE_MS = 500;

/** For pipes, files and dumb terminals: one line per fact, nothing that moves. */
export function plainRenderer(out: Write, err: Write, colors: Paint, verb: 'up' | 'down'): Renderer {
  const waits = new Waits(out);
  /** While starting, progress is a counter that changes too often for lines; a stop says what it waits for. */
  let stopping = verb === 'down';
  return {
    handle(event: RunEvent) {
      switch (event.type) {
        case 'header':
          out(`${colors.strong(event.text)}\n`);
          break;
        case 'plan':
        case 'step-start':
          break;
        case 'step-progress':
          if (stopping) waits.begin(event.unit, event.text);
          break;
        case 'step-done':
          waits.end(event.unit);
          out(`${event.changed ? colors.good('ok') : colors.weak('ok')} ${stepLine(event).trimEnd()}\n`);
          break;
        case 'step-failed':
          waits.end(event.unit);
          break;
        case 'note':
          out(`${event.text}\n`);
          break;
        case 'warning':
          err(`${colors.warn('warning:')} ${event.text}\n`);
          break;
        case 'rollback':
          stopping = true;
          if (event.units.length > 0) out(`rolling back: ${event.units.join(', ')}\n`);
          break;
        case 'failed':
          waits.endAll();
          err(`${colors.bad(failureText(event.failure, event.rolledBack))}\n`);
          break;
        case 'done':
          for (const line of doneLines(event)) out(`${line}\n`);
          break;
        default:
          unreachable(event);
      }
    },
    end() {
      waits.endAll();
      return Promise.resolve();
    },
  };
}

/** What is being waited for, a line per unit, and only when it takes long enough to wonder. */
class Waits {
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #out: Write;

  constructor(out: Write) {
    this.#out = out;
  }

  begin(unit: string, text: string): void {
    if (this.#timers.has(unit)) return;
    const say = (): void => this.#out(`.. ${unit.padEnd(10)} ${text}\n`);
    this.#timers.set(unit, setTimeout(say, WORTH_A_LINE_MS).unref());
  }

  end(unit: string): void {
    clearTimeout(this.#timers.get(unit));
    this.#timers.delete(unit);
  }

  endAll(): void {
    for (const unit of [...this.#timers.keys()]) this.end(unit);
  }
}
