// @ts-check
// How fast the four verbs are, each against a baseline in the same run.
// node bench/up.mjs [pairs, default 7] [cold] [running] [rabbitmq]   (default: all three)
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { absolute, compare, run } from './lib/measure.mjs';
import { benchProject, packageRoot, pm2Bin, stackPids } from './lib/project.mjs';

const pairs = Number(process.argv[2] ?? 7);
const kept = [];

/** As many processes as the embedded stack has, with the same imports, under PM2 alone; each says `ready` when it has imported them. */
function pm2Project() {
  const root = mkdtempSync(join(tmpdir(), 'memt-bench-pm2-'));
  const home = join(root, 'h');
  mkdirSync(home, { mode: 0o700 });
  const from = (/** @type {string} */ name) => JSON.stringify(join(packageRoot, name));
  const script = (/** @type {string} */ name, /** @type {readonly string[]} */ imports) => {
    const lines = imports.map((one) => `await import(${from(one)});`);
    writeFileSync(
      join(root, `${name}.mjs`),
      `${lines.join('\n')}\nprocess.send?.('ready');\nsetInterval(() => undefined, 1e6);\n`,
    );
    return name;
  };
  const scripts = [
    script('mongodb', ['node_modules/bson/lib/bson.node.mjs']),
    script('rabbitmq', []),
    ...['worker0', 'worker1'].map((name) =>
      script(name, ['node_modules/amqplib/channel_api.js', 'node_modules/mongodb/lib/index.js']),
    ),
    script('keeper', []),
    script('primary', []),
    ...[0, 1, 2, 3, 4].map((n) =>
      script(`web${n}`, ['node_modules/mongodb/lib/index.js', 'node_modules/amqplib/channel_api.js']),
    ),
  ];
  const apps = scripts.map((name) => ({
    name,
    script: join(root, `${name}.mjs`),
    exec_mode: 'fork',
    wait_ready: true,
    listen_timeout: 20_000,
  }));
  writeFileSync(join(root, 'ecosystem.config.cjs'), `module.exports = ${JSON.stringify({ apps })};\n`);
  const env = {
    ...process.env,
    PM2_HOME: home,
    PM2_DISABLE_VERSION_CHECK: '1',
    PM2_NO_INTERACTION: 'true',
    PM2_DISCRETE_MODE: 'true',
  };
  writeFileSync(join(home, 'touch'), String(Date.now()));
  const pm2 = (/** @type {string[]} */ ...args) => run(process.execPath, [pm2Bin, ...args], { cwd: root, env });
  return {
    pm2,
    start: () => pm2('start', join(root, 'ecosystem.config.cjs')),
    remove: async () => {
      await pm2('kill');
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function coldEmbedded() {
  const project = await benchProject({ realEngines: false });
  const pm2 = pm2Project();
  /** @type {number[]} */ const ours = [];
  /** @type {number[]} */ const theirs = [];
  /** @type {number[]} */ const downs = [];
  for (let pair = 0; pair <= pairs; pair += 1) {
    const up = await project.must('up');
    const down = await project.must('down');
    const start = await pm2.start();
    if (start.code !== 0) throw new Error(`pm2 start: ${start.stdout}${start.stderr}`);
    await pm2.pm2('kill');
    if (pair === 0) continue; // the first pair warms the page cache
    ours.push(up.ms);
    downs.push(down.ms);
    theirs.push(start.ms);
  }
  kept.push(
    compare({
      name: 'up, both engines embedded, cold',
      ours,
      theirs,
      oursName: 'memt up',
      theirsName: 'pm2 start, 11 processes, cold daemon',
      goal: { ratio: 2 },
    }),
  );
  kept.push(absolute({ name: 'down, idle, embedded engines', values: downs, goal: 1200, unit: 'ms' }));
  await pm2.remove();
  await project.remove();
}

async function whenAllRuns() {
  const project = await benchProject({ realEngines: false });
  const pm2 = pm2Project();
  await project.must('up');
  await pm2.start();
  /** @type {number[]} */ const ups = [];
  /** @type {number[]} */ const statuses = [];
  /** @type {number[]} */ const lists = [];
  for (let pair = 0; pair <= pairs; pair += 1) {
    const up = await project.must('up');
    const list = await pm2.pm2('jlist');
    const status = await project.must('status');
    if (pair === 0) continue;
    ups.push(up.ms);
    lists.push(list.ms);
    statuses.push(status.ms);
  }
  kept.push(
    compare({
      name: 'up when all runs',
      ours: ups,
      theirs: lists,
      oursName: 'memt up',
      theirsName: 'pm2 jlist',
      goal: { ratio: 2 },
    }),
  );
  kept.push(
    compare({
      name: 'status',
      ours: statuses,
      theirs: lists,
      oursName: 'memt status',
      theirsName: 'pm2 jlist',
      goal: { ratio: 0.75 },
    }),
  );
  await idle(project.root);
  await pm2.remove();
  await project.remove();
}

/** Memory (PSS) and CPU of the idle stack over a minute. @param {string} root */
async function idle(root) {
  const ticks = () =>
    stackPids(root).reduce((sum, pid) => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return sum + Number(fields[11]) + Number(fields[12]);
    }, 0);
  // V8 collects garbage for some seconds after a start; idle begins when that is over.
  await sleep(30_000);
  const before = ticks();
  await sleep(60_000);
  const percent = ((ticks() - before) * 10) / 600;
  const pss = stackPids(root).reduce((sum, pid) => {
    const found = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    return sum + Number(found?.[1] ?? 0) / 1024;
  }, 0);
  kept.push(
    absolute({ name: 'idle memory of the whole stack, embedded engines', values: [pss], goal: 500, unit: 'MB PSS' }),
  );
  kept.push(absolute({ name: 'idle CPU over 60 s', values: [percent], goal: 1, unit: '% of one core', digits: 2 }));
}

async function realRabbitmq() {
  if (!existsSync('/usr/lib/rabbitmq/bin/rabbitmq-server')) {
    console.log('no rabbitmq-server here: its rows are skipped\n');
    return;
  }
  const { rabbitmqBoot } = await import('./lib/rabbitmq.mjs');
  const project = await benchProject({ realEngines: true });
  const boot = await rabbitmqBoot();
  /** @type {number[]} */ const ups = [];
  /** @type {number[]} */ const boots = [];
  /** @type {number[]} */ const downs = [];
  /** @type {number[]} */ const stops = [];
  for (let pair = 0; pair <= pairs; pair += 1) {
    const up = await project.must('up');
    const down = await project.must('down');
    const alone = await boot.once();
    if (pair === 0) continue; // fresh data
    ups.push(up.ms);
    downs.push(down.ms);
    boots.push(alone.bootMs);
    stops.push(alone.stopMs);
  }
  kept.push(
    compare({
      name: 'up with the real RabbitMQ, warm data',
      ours: ups,
      theirs: boots,
      oursName: 'memt up',
      theirsName: 'RabbitMQ: spawn to first AMQP channel',
      goal: { above: 1000 },
    }),
  );
  kept.push(
    compare({
      name: 'down with the real RabbitMQ',
      ours: downs,
      theirs: stops,
      oursName: 'memt down',
      theirsName: 'RabbitMQ: SIGTERM to exit, same plugins',
      goal: { above: 1000 },
    }),
  );
  boot.remove();
  await project.remove();
}

const parts = { cold: coldEmbedded, running: whenAllRuns, rabbitmq: realRabbitmq };
const chosen = process.argv.slice(3);
for (const [name, part] of Object.entries(parts)) if (chosen.length === 0 || chosen.includes(name)) await part();
console.log(`${kept.filter(Boolean).length} of ${kept.length} goals kept`);
