import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Enough for the modules that an entry is usually made of; each costs a process. */
const MAX_FILES = 12;
const CHECK_MS = 5000;

/**
 * Where a syntax error is. Node keeps the place of one in an ES module for its own report and leaves it out of the stack, so the entry
 * and what it imports by relative path are checked one by one. Gives Node's report (file:line, code, message), or undefined.
 */
export async function syntaxReport(entry: string): Promise<string | undefined> {
  const files = [entry];
  for (const [index, file] of files.entries()) {
    const report = await check(file);
    if (report !== undefined) return report;
    if (index >= MAX_FILES) return undefined;
    for (const found of await relativeImports(file)) if (!files.includes(found)) files.push(found);
  }
  return undefined;
}

function check(file: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--check', file], { timeout: CHECK_MS }, (error, _stdout, stderr) => {
      resolve(error && stderr.includes('SyntaxError') ? stderr : undefined);
    });
  });
}

async function relativeImports(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return [...text.matchAll(/\b(?:from|import)\s*['"](\.{1,2}\/[^'"]+)['"]/g)].map((match) =>
    resolve(dirname(file), match[1] ?? ''),
  );
}
