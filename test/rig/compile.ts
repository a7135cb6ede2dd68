import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '../..');
/** Inside node_modules, so that it is ignored everywhere and finds the packages. */
const cache = join(root, 'node_modules/.cache/memt-test');
/** Older results than this are swept away, ms. */
const KEEP_MS = 3_600_000;

/**
 * Compiles the sources of some rooms as they are now, without type checks, so that a test can run them in a process of its own (a
 * `dist/` could be older than the sources). `outDir` becomes a link to the result, which is compiled once for all tests.
 */
export function compileSources(outDir: string, rooms: readonly string[]): string {
  const sources = rooms.flatMap(sourcesOf);
  const digest = createHash('sha256');
  for (const name of sources) {
    const { mtimeMs, size } = statSync(join(root, name));
    digest.update(`${name}:${mtimeMs}:${size}\n`);
  }
  const result = join(cache, digest.digest('hex').slice(0, 16));
  if (!existsSync(result)) compileInto(result, sources);
  mkdirSync(dirname(outDir), { recursive: true });
  rmSync(outDir, { recursive: true, force: true });
  symlinkSync(result, outDir);
  return outDir;
}

function sourcesOf(room: string): string[] {
  return readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(room, name))
    .sort();
}

function compileInto(result: string, sources: readonly string[]): void {
  mkdirSync(cache, { recursive: true });
  sweep();
  const temporary = mkdtempSync(join(cache, 'new-'));
  writeFileSync(join(temporary, 'package.json'), readFileSync(join(root, 'package.json')));
  for (const name of sources) {
    const { outputText } = ts.transpileModule(readFileSync(join(root, name), 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
    });
    const target = join(temporary, name.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, outputText);
  }
  try {
    renameSync(temporary, result);
  } catch {
    // Another test process was faster with the same result.
    rmSync(temporary, { recursive: true, force: true });
  }
}

function sweep(): void {
  for (const name of readdirSync(cache)) {
    const folder = join(cache, name);
    const stat = statSync(folder, { throwIfNoEntry: false });
    if (stat && Date.now() - stat.mtimeMs > KEEP_MS) rmSync(folder, { recursive: true, force: true });
  }
}
