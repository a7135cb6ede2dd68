import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Level } from '../model/level.js';
import type { Json } from '../model/record.js';

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

// PLACEHOLDER SKELETON, replaced by the logs room.
export function captureOutput(options: { readonly file: string; readonly unit: string; readonly instance: string }): Logger {
  mkdirSync(dirname(options.file), { recursive: true, mode: 0o700 });
  const write = (level: Level, text: string, fields?: LogFields): void => {
    const { err, ...rest } = fields ?? {};
    appendFileSync(
      options.file,
      JSON.stringify({
        time: new Date().toISOString(), level, unit: options.unit, instance: options.instance, pid: process.pid, text,
        fields: rest as { [key: string]: Json }, ...(err instanceof Error ? { stack: err.stack } : {}),
      }) + '\n',
      { mode: 0o600 },
    );
  };
  return {
    debug: (t, f) => write('debug', t, f), info: (t, f) => write('info', t, f), warn: (t, f) => write('warn', t, f),
    error: (t, f) => write('error', t, f), fatal: (t, f) => write('fatal', t, f),
  };
}
