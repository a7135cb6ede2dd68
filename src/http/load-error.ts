import { fileURLToPath } from 'node:url';
import { stackOf, summaryOf } from '../logs/stack-of.js';
import type { Failure } from '../model/failure.js';
import { codeOf } from '../util/errors.js';
import { packageRoot } from '../util/entries.js';
import { display } from './entry.js';
import { syntaxReport } from './syntax.js';

const MAX_FRAMES = 5;

/** The failure of an application that threw while it was loaded: with file and line, and the stack's first frames that are its own. */
export async function loadError(error: unknown, entry: string, root: string): Promise<Failure> {
  const plain = stackOf(error) ?? '';
  const stack =
    error instanceof SyntaxError && locationOf(plain) === undefined ? ((await syntaxReport(entry)) ?? plain) : plain;
  const frames = appFrames(stack);
  const place = locationOf(stack);
  const at = place === undefined ? display(entry, root) : display(place.file, root) + `:${place.line}`;
  const mend = mendOf(error);
  return {
    kind: 'entry-throws',
    what: `${display(entry, root)} throws when it is loaded: ${summaryOf(error)} (${at})`,
    ...(mend === undefined ? {} : { mend }),
    evidence:
      frames.length > 0
        ? frames
        : stack
            .split('\n')
            .filter((line) => line.trim() !== '' && !line.includes('node:'))
            .slice(0, MAX_FRAMES),
  };
}

/** File and line of the first place in a stack that is neither Node's nor memt's own. */
export function locationOf(stack: string): { readonly file: string; readonly line: number } | undefined {
  for (const line of stack.split('\n')) {
    // A syntax error has no frame of its own: its stack begins with the bare location.
    const match = /((?:file:\/\/)?\/[^\s():]*(?:\s[^():]*)*?):(\d+)(?::\d+)?\)?$/.exec(line);
    const [, path, number] = match ?? [];
    if (path === undefined || number === undefined || line.includes('node:') || isOwn(path)) continue;
    return { file: path.startsWith('file://') ? fileURLToPath(path) : path, line: Number(number) };
  }
  return undefined;
}

function appFrames(stack: string): string[] {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line) && !line.includes('node:') && !isOwn(line))
    .slice(0, MAX_FRAMES)
    .map((line) => line.trim());
}

function isOwn(text: string): boolean {
  return text.includes(`${packageRoot}/dist/`) || text.includes(`${packageRoot}/src/`);
}

function mendOf(error: unknown): string | undefined {
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : '';
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    const name = /Cannot find (?:package|module) '([^']+)'/.exec(text)?.[1];
    if (name !== undefined && !/^[./]/.test(name)) return `npm install ${name}, then: memt up`;
    return 'Check the path of the import; in an ES module it needs its extension';
  }
  if (code === 'EADDRINUSE') {
    return 'It listens by itself, on a port that is taken: let it listen on process.env.PORT, or export the application without listening';
  }
  if (error instanceof SyntaxError && /import statement outside|Unexpected token 'export'|import\.meta/.test(text)) {
    return 'It is an ES module in a CommonJS package: add "type": "module" to package.json, or call it .mjs';
  }
  if (
    error instanceof ReferenceError &&
    /(require|module|exports|__dirname|__filename) is not defined in ES module/.test(text)
  ) {
    return 'It is CommonJS in a package of "type": "module": call it .cjs, or use import and export';
  }
  return undefined;
}
