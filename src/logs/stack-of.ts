import { redactText } from './to-json.js';

const MAX_CAUSES = 5;

/** An error's stack with those of its causes and parts (AggregateError), at most five deep; undefined for other values. Never throws. */
export function stackOf(error: unknown, depth = 0): string | undefined {
  if (!(error instanceof Error)) return undefined;
  try {
    const parts = [
      typeof error.stack === 'string' && error.stack !== '' ? error.stack : `${error.name}: ${error.message}`,
    ];
    if (depth < MAX_CAUSES) {
      const cause = stackOf(error.cause, depth + 1);
      if (cause !== undefined) parts.push(`Caused by: ${cause}`);
      if (error instanceof AggregateError) {
        for (const one of error.errors.slice(0, MAX_CAUSES) as unknown[]) {
          const stack = stackOf(one, depth + 1);
          if (stack !== undefined) parts.push(`Caused by: ${stack}`);
        }
      }
    }
    return redactText(parts.join('\n'));
  } catch {
    return undefined; // a stack getter of the application's that throws
  }
}

/** `TypeError: x is not a function` in one line, whatever was thrown. */
export function summaryOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return redactText(String(error));
    const message = redactText(error.message);
    return message.startsWith(`${error.name}: `) || error.name === '' ? message : `${error.name}: ${message}`;
  } catch {
    return 'unprintable value';
  }
}
