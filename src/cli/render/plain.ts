import type { RunEvent } from '../../model/event.js';
import { unreachable } from '../../util/unreachable.js';
import type { Renderer, Write } from './renderer.js';
import { doneLines, failureText, stepLine, type Paint } from './text.js';

/** For pipes, files and dumb terminals: one line per fact, nothing that moves. */
export function plainRenderer(out: Write, err: Write, colors: Paint): Renderer {
  const waiting = new Map<string, string>();
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
          // Only what a person would wait for: the drain and stop messages, once each; counters change too often.
          if (event.text.startsWith('waiting') && waiting.get(event.unit) !== event.text) {
            waiting.set(event.unit, event.text);
            out(`.. ${event.unit.padEnd(10)} ${event.text}\n`);
          }
          return undefined;
        case 'step-done':
          return out(`${event.changed ? colors.good('ok') : colors.weak('ok')} ${stepLine(event).trimEnd()}\n`);
        case 'step-failed':
          return undefined;
        case 'note':
          return out(`${event.text}\n`);
        case 'warning':
          return err(`${colors.warn('warning:')} ${event.text}\n`);
        case 'rollback':
          return event.units.length > 0 ? out(`rolling back: ${event.units.join(', ')}\n`) : undefined;
        case 'failed':
          return err(`${colors.bad(failureText(event.failure, event.rolledBack))}\n`);
        case 'done':
          return out(doneLines(event).map((line) => `${line}\n`).join(''));
        default:
          return unreachable(event);
      }
    },
    end: () => Promise.resolve(),
  };
}
