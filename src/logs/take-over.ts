import { blockJoiner } from './block-joiner.js';
import { consoleRecord, detailsOf } from './console-record.js';
import type { Level } from '../model/level.js';
import type { Parsed, Stream } from './parse/parsed.js';
import { parseTextBlock } from './parse/text-block.js';
import { stackOf, summaryOf } from './stack-of.js';
import { redactText, toJson } from './to-json.js';

/** Takes one record; says whether it was kept. Never throws. */
export type Emit = (parsed: Parsed) => boolean;

/** Every write to process.stdout and process.stderr becomes records; the real streams are not written to any more. */
export function takeOverStreams(emit: Emit): void {
  const streams: readonly (readonly [Stream, NodeJS.WriteStream])[] = [
    ['stdout', process.stdout],
    ['stderr', process.stderr],
  ];
  for (const [name, stream] of streams) {
    const joiner = blockJoiner((block) => emit(redacted(parseTextBlock(block, name))));
    stream.write = (
      chunk: string | Uint8Array,
      encoding?: BufferEncoding | ((error?: Error | null) => void),
      callback?: (error?: Error | null) => void,
    ): boolean => {
      joiner.write(chunk, typeof encoding === 'string' ? encoding : undefined);
      const done = typeof encoding === 'function' ? encoding : callback;
      if (done) process.nextTick(done);
      return true;
    };
    // Whatever still reaches the real stream may find its reader dead: that must not end the process.
    stream.on('error', () => undefined);
    process.on('exit', () => joiner.finish());
  }
}

const CONSOLE_LEVELS = {
  trace: 'trace',
  debug: 'debug',
  log: 'info',
  info: 'info',
  warn: 'warn',
  error: 'error',
} as const satisfies Record<string, Level>;

/** The console methods that have a level; the others (dir, table, …) end in these or in the streams. */
export function takeOverConsole(emit: Emit): void {
  for (const [method, level] of Object.entries(CONSOLE_LEVELS) as [keyof typeof CONSOLE_LEVELS, Level][]) {
    console[method] = (...args: readonly unknown[]): void => {
      const parsed = consoleRecord(level, args);
      emit(method === 'trace' ? { ...parsed, stack: parsed.stack ?? callerStack() } : parsed);
    };
  }
}

function callerStack(): string {
  const lines = (new Error('Trace').stack ?? '').split('\n');
  return ['Trace', ...lines.slice(3)].join('\n');
}

/**
 * Records what kills the process, uncaught exceptions and unhandled rejections alike, with exit code 1 as ever. When the record is
 * safe and nobody else listens, the process ends here, so that Node's own report does not repeat it in the raw log.
 */
export function recordCrashes(emit: Emit): void {
  process.on('uncaughtExceptionMonitor', (error: unknown, origin) => {
    const survives = process.listenerCount('uncaughtException') > 0;
    const fields = error instanceof Error ? detailsOf(error)[0] : undefined;
    const kept = emit({
      level: survives ? 'error' : 'fatal',
      text: `uncaught ${thrownText(error)}`,
      fields: { origin, ...(fields ? { err: fields } : {}) },
      stack: stackOf(error),
    });
    const alone = !survives && process.listenerCount('uncaughtExceptionMonitor') === 1;
    if (kept && alone && !process.report.reportOnUncaughtException) process.exit(1);
  });
}

function thrownText(error: unknown): string {
  if (error instanceof Error || typeof error !== 'object' || error === null) return summaryOf(error);
  return JSON.stringify(toJson(error));
}

function redacted(parsed: Parsed): Parsed {
  return { ...parsed, text: redactText(parsed.text), ...(parsed.stack ? { stack: redactText(parsed.stack) } : {}) };
}
