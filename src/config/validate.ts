import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { suggest } from '../util/suggest.js';
import type { Assembled } from './assemble.js';
import type { Problem } from './shape.js';

type Checked = Assembled['settings'];

/** What is wrong with values that are right one by one: ports that meet, engines that are missing, what production forbids. */
export function crossProblems(settings: Checked): Problem[] {
  return [...portProblems(settings), ...engineProblems(settings), ...productionProblems(settings)];
}

function portProblems({ mongodb, rabbitmq, web, origins }: Checked): Problem[] {
  const listeners = [
    ...(mongodb && mongodb.uri === null ? [{ key: 'mongodb.port', host: mongodb.host, port: mongodb.port }] : []),
    ...(rabbitmq && rabbitmq.uri === null ? [{ key: 'rabbitmq.port', host: rabbitmq.host, port: rabbitmq.port }] : []),
    ...(rabbitmq && rabbitmq.uri === null && rabbitmq.managementPort !== null
      ? [{ key: 'rabbitmq.managementPort', host: rabbitmq.host, port: rabbitmq.managementPort }]
      : []),
    ...(web ? [{ key: 'web.port', host: web.host, port: web.port }] : []),
  ];
  return listeners.flatMap((one, index) => {
    const earlier = listeners
      .slice(0, index)
      .find((other) => other.port === one.port && sameAddress(other.host, one.host));
    return earlier
      ? [
          {
            key: one.key,
            text: `${one.port} is ${earlier.key}, too (${origins[one.key] ?? 'default'}; ${origins[earlier.key] ?? 'default'}); give one of them another port`,
          },
        ]
      : [];
  });
}

const WILDCARDS = new Set(['0.0.0.0', '::', '*']);

function sameAddress(a: string, b: string): boolean {
  const plain = (host: string): string => (host === 'localhost' ? '127.0.0.1' : host.toLowerCase());
  return plain(a) === plain(b) || WILDCARDS.has(a) || WILDCARDS.has(b);
}

function engineProblems({ workers, rabbitmq }: Checked): Problem[] {
  if (rabbitmq !== null) return [];
  return workers.slice(0, 1).map(({ name }) => ({
    key: name === 'worker' ? 'worker' : `workers.${name}`,
    text: 'needs RabbitMQ, which is switched off; add rabbitmq: {} (or { url })',
  }));
}

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host) || /^::ffff:127\./i.test(host);
}

/** Default passwords and password-less engines that other machines reach: a problem in production, elsewhere a warning. */
export function exposures({ mongodb, rabbitmq }: Checked): Problem[] {
  const open: Problem[] = [];
  if (mongodb && mongodb.uri === null && !isLoopback(mongodb.host)) {
    open.push({
      key: 'mongodb.host',
      text: `mongod asks for no password and would be open to other machines on ${mongodb.host}; use 127.0.0.1, or a MongoDB of its own with mongodb.uri`,
    });
  }
  if (rabbitmq && !isLoopback(rabbitmq.host) && rabbitmq.password === 'guest') {
    open.push({
      key: rabbitmq.uri === null ? 'rabbitmq.password' : 'rabbitmq.url',
      text: `the default password must not be used beyond this machine (${rabbitmq.host}); ${rabbitmq.uri === null ? 'set rabbitmq.user and rabbitmq.password (MEMT_RABBITMQ_PASSWORD), or listen on 127.0.0.1' : 'put a user of your own into the URL'}`,
    });
  }
  return open;
}

function productionProblems(settings: Checked): Problem[] {
  if (settings.environment !== 'production') return [];
  const forced = [settings.mongodb, settings.rabbitmq].flatMap((engine, index) =>
    engine?.engine === 'embedded' && engine.uri === null && !settings.allowEmbedded
      ? [
          {
            key: `${index === 0 ? 'mongodb' : 'rabbitmq'}.engine`,
            text: "'embedded' is for development and tests; in production use the real one or a URI, or add --allow-embedded",
          },
        ]
      : [],
  );
  return [...exposures(settings), ...forced];
}

/** Modules that are configured and not there. */
export function entryProblems({
  entries,
  settings,
}: Pick<Assembled, 'entries' | 'settings'>): (Problem & { readonly unit: string })[] {
  return entries.flatMap(({ key, unit, origin, entry }) => {
    const stat = statSync(entry.path, { throwIfNoEntry: false, bigint: false });
    if (stat?.isFile()) return [];
    const what = stat ? `${entry.path} is a folder, not a module` : `no file ${entry.path}`;
    return [{ key: `${origin}: ${key}`, unit, text: `${what}${entryHint(entry.path, entry.written, settings.root)}` }];
  });
}

function entryHint(path: string, written: string, root: string): string {
  const folder = dirname(path);
  const index = ['index.js', 'index.mjs', 'index.cjs'].find((name) => existsSync(join(path, name)));
  if (index !== undefined) return `; did you mean ${written.replace(/\/$/, '')}/${index}?`;
  const inBuild = /^(dist|build|out|lib)(\/|$)/.test(relative(root, path));
  if (inBuild && hasBuildScript(root)) return '; build the project first: npm run build';
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => /\.[mc]?[jt]s$/.test(name));
  } catch {
    return `; there is no folder ${folder}`;
  }
  const near = names.find((name) => name.replace(/\.[^.]+$/, '') === basename(path)) ?? suggest(basename(path), names);
  return near === undefined
    ? ''
    : `; did you mean ${written.slice(0, written.length - basename(written).length)}${near}?`;
}

function hasBuildScript(root: string): boolean {
  try {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      readonly scripts?: { readonly build?: unknown };
    };
    return typeof manifest.scripts?.build === 'string';
  } catch {
    return false; // no package.json, no build
  }
}
