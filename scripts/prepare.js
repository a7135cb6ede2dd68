// npm's `prepare`: builds what has changed since the last build; tsc's incremental record makes it do nothing when all is up to date.
// Harmless where there is no compiler (`npm ci --omit=dev`): dist must be there then.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const tsc = join(root, 'node_modules/typescript/bin/tsc');
if (existsSync(tsc) && existsSync(join(root, 'tsconfig.json'))) {
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json'], { cwd: root, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
