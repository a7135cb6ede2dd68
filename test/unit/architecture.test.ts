import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** Room -> rooms it may import. The longest matching prefix of a file's path is its room. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'src/model': [],
  'src/util': ['src/model'],
  'src/host': ['src/model', 'src/util'],
  'src/control': ['src/model', 'src/util'],
  'src/wal': ['src/model', 'src/util', 'src/host'],
  'src/logs/parse': ['src/model', 'src/util'],
  'src/logs': ['src/model', 'src/util', 'src/host', 'src/logs/parse'],
  'src/config': ['src/model', 'src/util', 'src/host'],
  'src/plan': ['src/model', 'src/util'],
  'src/ports': ['src/model', 'src/util', 'src/host'],
  'src/adapters': ['src/model', 'src/util', 'src/host', 'src/ports'],
  'src/child': ['src/model', 'src/util', 'src/host', 'src/control', 'src/logs', 'src/config'],
  'src/http': ['src/model', 'src/util', 'src/host', 'src/control', 'src/logs', 'src/child'],
  'src/tasks/core': ['src/model', 'src/util', 'src/ports'],
  'src/tasks': ['src/model', 'src/util', 'src/host', 'src/ports', 'src/tasks/core'],
  'src/run': ['src/model', 'src/util', 'src/host', 'src/control', 'src/plan', 'src/ports', 'src/config', 'src/logs'],
};

/** Files that wire rooms together and may import any room but the CLI. */
const COMPOSITION_ROOTS = ['src/index.ts', 'src/stack.ts'];

/** Rooms that do no I/O: no Node module, no package. */
const PURE = ['src/model', 'src/plan', 'src/tasks/core', 'src/logs/parse'];

/** Third-party packages, each with the one place that may import it. */
const PACKAGE_HOME: Readonly<Record<string, RegExp>> = {
  pm2: /^src\/adapters\/pm2\.ts$/,
  execa: /^src\/adapters\/spawn\.ts$/,
  amqplib: /^src\/adapters\/amqplib/,
  mongodb: /^src\/adapters\/mongodb/,
  listr2: /^src\/cli\/render\/tty\.ts$/,
  commander: /^src\/cli\//,
  bson: /^services\/mongodb\/embedded\//,
};

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

const files = ['src', 'services'].flatMap(sources);
const imports = files.flatMap(importsOf);

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const statement =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import\s+'([^']+)'/g;
  return [...text.matchAll(statement)].map((match) => {
    const target = match[2] ?? match[3] ?? match[4] ?? '';
    const path = target.startsWith('.')
      ? relative(root, resolve(root, dirname(file), target)).replace(/\.js$/, '.ts')
      : target;
    return { file, target: path, typeOnly: match[1] !== undefined };
  });
}

function roomOf(file: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .filter((room) => file.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0];
}

const isLocal = (one: Import): boolean => one.target.startsWith('src/') || one.target.startsWith('services/');
const isWiring = (file: string): boolean =>
  COMPOSITION_ROOTS.includes(file) || file.startsWith('src/cli/') || file.startsWith('services/');

describe('the rooms', () => {
  it('are read from real imports', () => {
    expect(imports.length).toBeGreaterThan(100);
  });

  it('import only what their row allows', () => {
    const wrong = imports.filter((one) => {
      if (!isLocal(one) || isWiring(one.file)) return false;
      const from = roomOf(one.file);
      const to = roomOf(one.target);
      if (from === undefined) return true;
      return to === undefined || (to !== from && !(MAY_IMPORT[from] ?? []).includes(to));
    });
    expect(wrong).toEqual([]);
  });

  it('never import the CLI', () => {
    expect(imports.filter((one) => one.target.startsWith('src/cli/') && !one.file.startsWith('src/cli/'))).toEqual([]);
  });

  it('that are pure do no I/O', () => {
    const wrong = imports.filter((one) => {
      const from = roomOf(one.file);
      return from !== undefined && PURE.includes(from) && !isLocal(one);
    });
    expect(wrong).toEqual([]);
  });

  it('keep every package in its one place', () => {
    const wrong = imports.filter((one) => {
      const home = PACKAGE_HOME[one.target.split('/')[0] ?? ''];
      return home !== undefined && !one.typeOnly && !home.test(one.file);
    });
    expect(wrong).toEqual([]);
  });
});

describe('the start of a verb', () => {
  /** Everything that is loaded when `entry` is imported, without what it imports lazily. */
  function loadedBy(entry: string): Set<string> {
    const seen = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const text = files.includes(file) ? readFileSync(join(root, file), 'utf8') : '';
      for (const one of staticImports(file, text)) visit(one);
    };
    visit(entry);
    return seen;
  }

  function staticImports(file: string, text: string): string[] {
    const statement = /(?:^|\n)\s*(?:import|export)\s+(?!type\s)[^'";]*?from\s+'([^']+)'/g;
    return [...text.matchAll(statement)].map((match) => {
      const target = match[1] ?? '';
      return target.startsWith('.')
        ? relative(root, resolve(root, dirname(file), target)).replace(/\.js$/, '.ts')
        : target;
    });
  }

  it.each(['src/cli/main.ts', 'src/cli/status-run.ts', 'src/cli/logs.ts', 'src/cli/down-run.ts', 'src/stack.ts'])(
    '%s loads no heavy package',
    (entry) => {
      const heavy = [...loadedBy(entry)].filter((name) =>
        ['pm2', 'mongodb', 'amqplib', 'execa', 'wait-on', 'listr2', 'bson'].includes(name),
      );
      expect(heavy).toEqual([]);
    },
  );
});
