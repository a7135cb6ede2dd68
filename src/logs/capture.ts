import { fstatSync, writeSync } from 'node:fs';
import type { Level } from '../model/level.js';
import type { Json } from '../model/record.js';
import { detailsOf } from './console-record.js';
import { MARK } from './filter.js';
import type { Fields, Parsed } from './parse/parsed.js';
import { redirectDescriptor, rotateOpenFile } from './redirect.js';
import { stackOf, summaryOf } from './stack-of.js';
import { recordCrashes, takeOverConsole, takeOverStreams, type Emit } from './take-over.js';
import { redactText, toJson } from './to-json.js';
import { lineWriter } from './writer.js';

/** Structured log of one process. `fields.err` may hold an Error: its stack becomes the record's stack. */
export interface Logger {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
  fatal(text: string, fields?: LogFields): void;
}
export interface LogFields {
  readonly err?: unknown;
  readonly [key: string]: unknown;
}

/** A line's own time further away than this is kept as a field: files stay ordered by time, which is how readers search them. */
const MAX_TIME_DRIFT_MS = 30_000;
const MAX_TEXT = 128 * 1024;
/** Size and age of a look at which the raw output files are rotated: bytes, ms. */
const RAW_MAX_BYTES = 16 * 1024 * 1024;
const RAW_LOOK_MS = 15_000;
const RAW_KEEP = 3;

/**
 * Takes over everything that this process says: console.*, process.stdout and process.stderr become records (`LogRecord`, one JSON
 * object a line) in `file` (0600, rotated at 50 MiB, three kept); descriptors 1 and 2 themselves go to `<instance>.out` and
 * `<instance>.err` beside it, so that neither a logger that writes to them nor the death of whoever reads them can hurt the process.
 * An uncaught exception is recorded as fatal, then the process ends as it always does (exit code 1). Never throws; call it once,
 * before the application is imported.
 */
export function captureOutput(options: {
  readonly file: string;
  readonly unit: string;
  readonly instance: string;
}): Logger {
  const { file, unit, instance } = options;
  const writer = lineWriter({ file, onTrouble: (code) => complain(file, code) });
  const emit: Emit = (parsed) => {
    const lost = writer.dropped;
    if (!writer.write(recordLine(parsed, unit, instance))) return false;
    if (lost === 0) return true;
    const text = `${lost} log record${lost === 1 ? ' was' : 's were'} lost: the log file could not be written`;
    writer.write(recordLine({ level: 'warn', text, fields: { dropped: lost } }, unit, instance));
    return true;
  };
  const raw = file.replace(/\.ndjson$/, '');
  const mark = recordLine(
    { level: 'trace', text: 'output of another process from here on', fields: { [MARK]: true } },
    unit,
    instance,
  );
  redirect(1, `${raw}.out`, mark);
  redirect(2, `${raw}.err`, mark);
  takeOverStreams(emit);
  takeOverConsole(emit);
  recordCrashes(emit);
  return loggerTo(emit);
}

function recordLine(parsed: Parsed, unit: string, instance: string): string {
  const { level, text, fields, stack } = parsed;
  const now = Date.now();
  const own = parsed.time === undefined ? now : Date.parse(parsed.time);
  const kept = Math.abs(own - now) <= MAX_TIME_DRIFT_MS;
  // The order of the keys is part of the file format: readers find the level by its place.
  return JSON.stringify({
    time: new Date(kept ? own : now).toISOString(),
    level,
    unit,
    instance,
    pid: process.pid,
    text: cut(text),
    ...(kept && (fields === undefined || Object.keys(fields).length === 0)
      ? {}
      : { fields: kept ? fields : { ...fields, time: parsed.time } }),
    ...(stack === undefined ? {} : { stack: cut(stack) }),
  });
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… [${text.length - MAX_TEXT} more characters]` : text;
}

function complain(file: string, code: string): void {
  try {
    writeSync(2, `memt: cannot write ${file} (${code}): log records are being dropped\n`);
  } catch {
    // there is nowhere left to say it
  }
}

function loggerTo(emit: Emit): Logger {
  const at =
    (level: Level) =>
    (text: string, fields?: LogFields): void => {
      const { err, ...rest } = fields ?? {};
      const said: unknown = text; // callers in JavaScript pass anything
      const plain = toJson(rest) as { readonly [key: string]: Json };
      const error: { fields?: Fields; stack?: string | undefined } =
        err instanceof Error
          ? { fields: { err: { message: summaryOf(err), ...detailsOf(err)[0] } }, stack: stackOf(err) }
          : err === undefined
            ? {}
            : { fields: { err: toJson(err) } };
      emit({
        level,
        text: redactText(typeof said === 'string' ? said : JSON.stringify(toJson(said))),
        fields: { ...plain, ...error.fields },
        stack: error.stack,
      });
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), fatal: at('fatal') };
}

function redirect(fd: 1 | 2, file: string, mark: string): void {
  if (!redirectDescriptor(fd, file)) return;
  try {
    // Raw lines carry no time: the mark tells readers that what stands above it came before now.
    if (fstatSync(fd).size > 0) writeSync(fd, `\n${mark}\n`);
  } catch {
    // a full disk: the times of a few raw lines are less exact
  }
  setInterval(() => rotateOpenFile(fd, file, RAW_MAX_BYTES, RAW_KEEP), RAW_LOOK_MS).unref();
}
