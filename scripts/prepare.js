// npm's `prepare`: builds what has changed since the last build, and lets `npx memt` find this very package.
// Harmless where there is no compiler (`npm ci --omit=dev`): then dist must already be there.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const tsc = join(root, 'node_modules/typescript/bin/tsc');
if (existsSync(tsc) && existsSync(join(root, 'tsconfig.json'))) {
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.json'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

// npm links the bins of dependencies only; without this link npx would try to install the project into its cache, which needs a network.
const link = join(root, 'node_modules/.bin/memt');
if (existsSync(join(root, 'node_modules'))) {
  mkdirSync(join(root, 'node_modules/.bin'), { recursive: true });
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() !== true || !existsSync(link)) {
    rmSync(link, { force: true });
    symlinkSync('../../bin/memt.js', link);
  }
}
