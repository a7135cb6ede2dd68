// @ts-check
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from './measure.mjs';

export const packageRoot = resolve(import.meta.dirname, '../..');
export const memtBin = join(packageRoot, 'bin/memt.js');
export const pm2Bin = join(packageRoot, 'node_modules/pm2/bin/pm2');

/** A free port below the ephemeral range. @returns {Promise<number>} */
export async function freePort() {
  for (let tries = 0; tries < 200; tries += 1) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const free = await new Promise((done) => {
      const server = createServer();
      server.once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port');
}

/**
 * The sample application in a temp folder, on private ports.
 * @param {{ realEngines: boolean, management?: boolean }} options
 */
export async function benchProject({ realEngines, management = true }) {
  const root = mkdtempSync(join(tmpdir(), 'memt-bench-'));
  const [web, mongodb, rabbitmq, page] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  cpSync(join(packageRoot, 'templates/app'), join(root, 'app'), { recursive: true });
  mkdirSync(join(root, 'node_modules'));
  for (const name of readdirSync(join(packageRoot, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(packageRoot, 'node_modules', name), join(root, 'node_modules', name));
  }
  symlinkSync(packageRoot, join(root, 'node_modules/memt'));
  writeFileSync(join(root, 'package.json'), JSON.stringify({ name: 'bench', type: 'module' }));
  writeFileSync(
    join(root, 'ecosystem.config.js'),
    `import { defineStack } from 'memt/config';
export const { apps, memt } = defineStack({
  web: { app: './app/server.js', port: ${web} },
  worker: { tasks: './app/tasks.js', processes: 2 },
  mongodb: { port: ${mongodb} },
  rabbitmq: { port: ${rabbitmq}, managementPort: ${management ? page : false} },
});
`,
  );
  const env = { ...process.env, ...(realEngines ? {} : { MEMT_ENGINE_PATH: '' }) };
  /** @param {...string} args */
  const memt = (...args) => run(process.execPath, [memtBin, ...args], { cwd: root, env });
  return {
    root,
    env,
    ports: { web, mongodb, rabbitmq, page },
    memt,
    /** Fails loudly: a bench of a stack that did not come up measures nothing. @param {...string} args */
    async must(...args) {
      const result = await memt(...args);
      if (result.code !== 0)
        throw new Error(`memt ${args.join(' ')} exited ${result.code}: ${result.stdout}${result.stderr}`);
      return result;
    },
    async remove() {
      await memt('down');
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Pids of every process that carries the project's mark. @param {string} root */
export function stackPids(root) {
  const mark = `MEMT_RUN_DIR=${join(root, '.memt/run')}`;
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || !existsSync(`/proc/${name}/environ`)) return false;
    try {
      return readFileSync(`/proc/${name}/environ`, 'utf8').split('\0').includes(mark);
    } catch {
      return false; // it ended while we looked, or belongs to somebody else
    }
  });
}
