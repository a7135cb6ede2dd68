import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../util/entries.js';
import * as table from './settings-table.js';

test('docs/config.md has every setting as it is; npm run docs writes it', async () => {
  const { withSettings } = (await import(join(packageRoot, 'scripts/config-docs.js'))) as {
    withSettings(text: string, settings: typeof table): string;
  };
  const text = readFileSync(join(packageRoot, 'docs/config.md'), 'utf8');
  expect(text).toContain('| `web.port` | port | `5000` |');
  expect(withSettings(text, table)).toBe(text);
});
