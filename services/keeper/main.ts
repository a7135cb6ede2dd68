import { createPm2 } from '../../src/adapters/pm2.js';
import { spawnDetached } from '../../src/adapters/spawn.js';
import { bootChild } from '../../src/child/boot.js';
import { Keeper } from '../../src/run/keeper.js';
import { acquireLock } from '../../src/run/lock.js';
import { packageVersion } from '../../src/util/entries.js';
import { usePrivateUmask } from '../../src/util/private-umask.js';
import { registry } from '../index.js';

const child = await bootChild('keeper');
usePrivateUmask();
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
process.on('SIGINT', () => stop.abort());
// PM2's daemon may die: its channel closing is no reason to end.
process.on('disconnect', () => undefined);

child.control.handle('status', () => ({
  state: 'healthy',
  reason: null,
  failure: null,
  waiting: false,
  ports: [],
  instances: [],
  facts: {},
}));
// One keeper per project: a second one waits until the first has handed over.
const turn = await acquireLock({
  name: `${child.layout.lockName}/keeper`,
  verb: 'keeper',
  waitMs: 60_000,
  signal: stop.signal,
});
if (turn.kind === 'held') {
  const keeper = new Keeper(
    {
      version: packageVersion(),
      layout: child.layout,
      registry,
      spawn: spawnDetached,
      processManager: () => createPm2(child.layout),
      emit: () => undefined,
    },
    child.log,
  );
  await keeper.run(stop.signal);
  await turn.lock.release(null);
}
process.exit(0);
