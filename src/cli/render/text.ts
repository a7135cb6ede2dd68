import type { RunEvent } from '../../model/event.js';
import type { Failure } from '../../model/failure.js';

/** Colours that disappear when they are not wanted. */
export interface Paint {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly weak: (text: string) => string;
  readonly strong: (text: string) => string;
  readonly warn: (text: string) => string;
}

export function paint(color: boolean): Paint {
  const wrap = (open: number, close: number) => (text: string) =>
    color ? `\u001B[${open}m${text}\u001B[${close}m` : text;
  return { good: wrap(32, 39), bad: wrap(31, 39), weak: wrap(2, 22), strong: wrap(1, 22), warn: wrap(33, 39) };
}

/** Colour when the stream is a terminal and nothing forbids it (NO_COLOR, TERM=dumb, `--no-color`). */
export function wantsColor(
  stream: { readonly isTTY?: boolean },
  env: NodeJS.ProcessEnv,
  flag: boolean | undefined,
): boolean {
  if (flag === false || (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb') return false;
  return stream.isTTY === true || (env['FORCE_COLOR'] ?? '') !== '';
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** A failure as a paragraph: unit, what, cause, mend, the last error lines. */
export function failureText(failure: Failure, rolledBack: readonly string[] | null): string {
  const sentences = [
    sentence(`${failure.unit ? `${failure.unit} failed: ` : ''}${failure.what}`),
    ...(failure.cause ? [sentence(failure.cause)] : []),
    ...(failure.mend ? [sentence(failure.mend)] : []),
    ...(rolledBack && rolledBack.length > 0 ? [`Rolled back: ${rolledBack.join(', ')}.`] : []),
  ];
  const evidence = (failure.evidence ?? []).map((line) => `    ${line}`);
  return [sentences.join(' '), ...evidence].join('\n');
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) || text.includes('\n') ? text : `${text}.`;
}

const UNIT_WIDTH = 10;
const TEXT_WIDTH = 54;
const ADDRESS_WIDTH = 17;

/** One line of `up`: unit, what it is, where, how long. */
export function stepLine(event: Extract<RunEvent, { type: 'step-done' }>): string {
  return [
    event.unit.padEnd(UNIT_WIDTH),
    event.text.padEnd(TEXT_WIDTH),
    (event.address ?? '').padEnd(ADDRESS_WIDTH),
    seconds(event.durationMs),
  ].join(' ');
}

/** The closing lines of `up` and `down`. */
export function doneLines(event: Extract<RunEvent, { type: 'done' }>): string[] {
  if (event.verb === 'down')
    return [`Down in ${seconds(event.durationMs)}. Data and logs stay in .memt; next: memt up`];
  const urls = event.urls.map((one) => `${one.label} ${one.url}`).join('   ');
  return [
    ...(urls === '' ? [] : [urls]),
    `${event.state} in ${seconds(event.durationMs)}. Next: memt status | memt logs --level error | memt down`,
  ];
}
