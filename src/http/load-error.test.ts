import { describe, expect, it } from 'vitest';
import { loadError, locationOf } from './load-error.js';

describe('locationOf', () => {
  const table: readonly (readonly [string, string, string | undefined])[] = [
    [
      'a function of an ES module',
      'Error: x\n    at connect (file:///srv/my%20app/db.js:3:9)\n    at file:///srv/app.js:1:1',
      '/srv/my app/db.js:3',
    ],
    ['the top of an ES module', 'Error: x\n    at file:///srv/app.js:12:1', '/srv/app.js:12'],
    ['CommonJS', 'Error: x\n    at Object.<anonymous> (/srv/my app/app.cjs:7:15)', '/srv/my app/app.cjs:7'],
    [
      'past Node',
      'Error: x\n    at open (node:fs:12:3)\n    at node:internal/modules/run_main:5:1\n    at /srv/app.js:2:1',
      '/srv/app.js:2',
    ],
    [
      'a syntax error',
      'file:///srv/app.mjs:4\nlet x;\n    ^\n\nSyntaxError: x\n    at compileSourceTextModule (node:internal/modules/esm/utils:346:16)',
      '/srv/app.mjs:4',
    ],
    ['no frames', 'Error: x', undefined],
    ['nothing', '', undefined],
  ];
  it.each(table)('%s', (_name, stack, expected) => {
    const found = locationOf(stack);
    expect(found && `${found.file}:${found.line}`).toBe(expected);
  });
});

describe('loadError', () => {
  it.each(['text', 42, null, undefined, { code: 'X' }, Object.create(null)])(
    'takes whatever was thrown: %j',
    async (thrown: unknown) => {
      const failure = await loadError(thrown, '/srv/app.js', '/srv');
      expect(failure.kind).toBe('entry-throws');
      expect(failure.what).toMatch(/^app\.js throws when it is loaded: .+ \(app\.js\)$/);
    },
  );
});
