import type { TaskLogger } from './core/definition.js';

type Fields = { readonly [key: string]: unknown } | undefined;

/** For applications that give no logger: one line a record, warnings and errors on stderr; nothing below info. */
export const consoleLog: TaskLogger = {
  debug: () => undefined,
  info: (text, fields) => process.stdout.write(lineOf('info', text, fields)),
  warn: (text, fields) => process.stderr.write(lineOf('warn', text, fields)),
  error: (text, fields) => process.stderr.write(lineOf('error', text, fields)),
};

function lineOf(level: string, text: string, fields: Fields): string {
  const error = fields?.['err'];
  const stack = error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : '';
  return `${level} ${text}${stack}\n`;
}
