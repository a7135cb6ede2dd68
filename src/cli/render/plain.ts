import type { RunEvent } from '../../model/event.js';
import { unreachable } from '../../util/unreachable.js';
import type { Renderer, Write } from './renderer.js';
import { doneLines, failureText, stepLine, type Paint } from './text.js';

/** A stop that takes longer than this says what it waits for, ms. */
const WORTH_A_LINE_MS = 500;

/** For pipes, files and dumb terminals: one line per fact, nothing that moves. */
export function plainRenderer(out: Write, err: Write, colors: Paint, verb: 'up' | 'down'): Renderer {
  const pending = new Map<string, NodeJS.Timeout>();
  const settle = (unit: string): void => {
    clearTimeout(pending.get(unit));
    pending.delete(unit);
  };
  /** Counters change too often for lines; what an ordered stop waits for is said once a unit. */
  let stopping = verb === 'down';
  return {
    handle(event: RunEvent) {
      switch (event.type) {
        case 'header':
          return out(`${colors.strong(event.text)}\n`);
        case 'plan':
          return out(event.lines.map((line) => `${line}\n`).join(''));
        case 'step-start':
          return undefined;
        case 'step-progress':
          if (stopping && !pending.has(event.unit)) {
            pending.set(
              event.unit,
              setTimeout(() => out(`.. ${event.unit.padEnd(10)} ${event.text}\n`), WORTH_A_LINE_MS).unref(),
            );
          }
          return undefined;
        case 'step-done':
          settle(event.unit);
          return out(`${event.changed ? colors.good('ok') : colors.weak('ok')} ${stepLine(event).trimEnd()}\n`);
        case 'step-failed':
          return settle(event.unit);
        case 'note':
          return out(`${event.text}\n`);
        case 'warning':
          return err(`${colors.warn('warning:')} ${event.text}\n`);
        case 'rollback':
          stopping = true;
          return event.units.length > 0 ? out(`rolling back: ${event.units.join(', ')}\n`) : undefined;
        case 'failed':
          for (const unit of [...pending.keys()]) settle(unit);
          return err(`${colors.bad(failureText(event.failure, event.rolledBack))}\n`);
        case 'done':
          return out(
            doneLines(event)
              .map((line) => `${line}\n`)
              .join(''),
          );
        default:
          return unreachable(event);
      }
    },
    end() {
      for (const unit of [...pending.keys()]) settle(unit);
      return Promise.resolve();
    },
  };
}
