/** What a setting's value may be; `value.ts` holds the rules of each. */
export type SettingType =
  | 'string'
  | 'boolean'
  | 'integer'
  | 'number'
  | 'duration'
  | 'port'
  | 'portOrFalse'
  | 'host'
  | 'path'
  | 'entry'
  | 'uri'
  | 'count'
  | 'enum';

/** One setting, as data: the config file's key, the flag, the variables, the docs and the JSON schema all come from here. */
export interface Setting {
  /** Dotted key in the config file: `web.port`. */
  readonly key: string;
  readonly type: SettingType;
  /** As written in a config; null = none, `describe` says what happens then. */
  readonly default: string | number | boolean | null;
  readonly describe: string;
  readonly required?: boolean;
  /** Long option of `up` with its placeholder: `--port <port>`. */
  readonly flag?: string;
  /** Well-known variables beside `MEMT_<KEY>`, strongest first. */
  readonly env?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly values?: readonly string[];
  /** URI schemes with their colon. */
  readonly schemes?: readonly string[];
  /** Never printed. */
  readonly secret?: boolean;
}

const engine = (section: string, name: string): Setting[] => [
  {
    key: `${section}.engine`,
    type: 'enum',
    values: ['auto', 'real', 'embedded'],
    default: 'auto',
    describe: `Which ${name}: \`auto\` takes the real one when it is found, else the embedded one`,
  },
  {
    key: `${section}.adopt`,
    type: 'boolean',
    default: true,
    describe: `Use a healthy ${name} that already answers on the port`,
  },
  { key: `${section}.host`, type: 'host', default: '127.0.0.1', describe: `Address that ${name} listens on` },
];

/** Every setting, in the order of the docs. `worker.*` also describes each group under `workers.<name>`. */
export const SETTINGS: readonly Setting[] = [
  {
    key: 'name',
    type: 'string',
    default: null,
    describe: "Name of the project; else package.json's name, else the folder's",
  },
  {
    key: 'cpus',
    type: 'number',
    min: 0.01,
    max: 4096,
    default: null,
    flag: '--cpus <n>',
    describe: 'N for worker counts; else measured from affinity and cgroup quotas',
  },
  {
    key: 'allowEmbedded',
    type: 'boolean',
    default: null,
    flag: '--allow-embedded',
    describe: 'Allow embedded engines; yes, except in production',
  },
  {
    key: 'timeouts.engine',
    type: 'duration',
    min: 100,
    default: '60s',
    flag: '--timeout <duration>',
    describe: 'How long an engine may take to become healthy',
  },
  {
    key: 'timeouts.instance',
    type: 'duration',
    min: 100,
    default: '30s',
    flag: '--timeout <duration>',
    describe: 'How long a worker or web instance may take to become healthy',
  },

  {
    key: 'web.app',
    type: 'entry',
    required: true,
    default: null,
    describe:
      'Module whose export is the application: a (req, res) handler, Express, Koa, Fastify or { fetch }; `file:export` names another export',
  },
  {
    key: 'web.host',
    type: 'host',
    default: '127.0.0.1',
    flag: '--host <address>',
    describe: 'Address that the web server listens on',
  },
  {
    key: 'web.port',
    type: 'port',
    default: 5000,
    flag: '--port <port>',
    env: ['PORT'],
    describe: 'Port that the web server listens on',
  },
  {
    key: 'web.workers',
    type: 'count',
    min: 1,
    max: 1024,
    default: '2N+1',
    flag: '--workers <count>',
    env: ['WEB_CONCURRENCY'],
    describe: 'Web instances: a number, `2N+1`, `N+1`, `N` or `cpus`',
  },
  {
    key: 'web.timeout',
    type: 'duration',
    default: '30s',
    describe: 'An instance whose event loop is blocked for this long is replaced; 0 = never',
  },
  {
    key: 'web.gracefulTimeout',
    type: 'duration',
    default: '30s',
    describe: 'How long a stopping instance may finish its requests',
  },
  {
    key: 'web.backlog',
    type: 'integer',
    min: 1,
    max: 65_535,
    default: 2048,
    describe: 'Connections that may wait to be accepted',
  },

  {
    key: 'worker.tasks',
    type: 'entry',
    required: true,
    default: null,
    describe: 'Module that defines the tasks; `file:export` names one export',
  },
  {
    key: 'worker.processes',
    type: 'count',
    min: 1,
    max: 1024,
    default: 'N',
    flag: '--processes <count>',
    describe: 'Worker processes: a number, `N`, `N+1`, `2N+1` or `cpus`',
  },
  {
    key: 'worker.concurrency',
    type: 'integer',
    min: 1,
    max: 10_000,
    default: 10,
    flag: '--concurrency <n>',
    describe: 'Tasks at once in one process',
  },
  {
    key: 'worker.gracefulTimeout',
    type: 'duration',
    default: '30s',
    describe: 'How long a stopping worker may finish its tasks before they are returned',
  },

  {
    key: 'mongodb.uri',
    type: 'uri',
    schemes: ['mongodb:', 'mongodb+srv:'],
    secret: true,
    default: null,
    env: ['MONGODB_URI'],
    describe: 'An existing MongoDB: checked, never started or stopped',
  },
  ...engine('mongodb', 'mongod'),
  {
    key: 'mongodb.port',
    type: 'port',
    default: 27_017,
    flag: '--mongodb-port <port>',
    describe: 'Port that mongod listens on',
  },
  {
    key: 'mongodb.dbpath',
    type: 'path',
    default: '.memt/data/mongodb',
    flag: '--dbpath <folder>',
    describe: "mongod's data folder",
  },
  { key: 'mongodb.binary', type: 'path', default: null, describe: 'The mongod program; else searched for' },
  {
    key: 'mongodb.database',
    type: 'string',
    default: null,
    describe: "Database; else the URI's, else the project's name",
  },

  {
    key: 'rabbitmq.url',
    type: 'uri',
    schemes: ['amqp:', 'amqps:'],
    secret: true,
    default: null,
    env: ['RABBITMQ_URL'],
    describe: 'An existing RabbitMQ: checked, never started or stopped',
  },
  ...engine('rabbitmq', 'rabbitmq-server'),
  {
    key: 'rabbitmq.port',
    type: 'port',
    default: 5672,
    flag: '--rabbitmq-port <port>',
    describe: 'Port that RabbitMQ listens on for AMQP',
  },
  {
    key: 'rabbitmq.managementPort',
    type: 'portOrFalse',
    default: 15_672,
    flag: '--management-port <port>',
    describe: 'Port of the management page; false switches it off',
  },
  { key: 'rabbitmq.dataDir', type: 'path', default: '.memt/data/rabbitmq', describe: "RabbitMQ's data folder" },
  { key: 'rabbitmq.binary', type: 'path', default: null, describe: 'The rabbitmq-server program; else searched for' },
  {
    key: 'rabbitmq.vhost',
    type: 'string',
    default: null,
    describe: "Virtual host; else the URL's, else the project's name",
  },
  { key: 'rabbitmq.user', type: 'string', default: 'guest', describe: 'User' },
  { key: 'rabbitmq.password', type: 'string', secret: true, default: 'guest', describe: 'Password' },
];

/** The keys of the config that hold further keys. */
export const SECTIONS = ['web', 'worker', 'mongodb', 'rabbitmq', 'timeouts'] as const;

/** Sections that `false` or absence switches off. */
export const UNIT_SECTIONS = ['web', 'worker', 'mongodb', 'rabbitmq'] as const;

/** Environments that always exist; a config adds more under `environments`. */
export const ENVIRONMENTS = ['local', 'development', 'production'] as const;

/** Defaults that an environment changes; the config file is stronger. */
export const ENVIRONMENT_DEFAULTS: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>> = {
  development: { 'web.workers': 1 },
  production: { allowEmbedded: false },
};

const byKey = new Map(SETTINGS.map((setting) => [setting.key, setting]));

/** The setting of a dotted key, `workers.<name>.x` included; undefined when there is none. */
export function settingOf(key: string): Setting | undefined {
  return byKey.get(key.replace(/^workers\.[^.]+\./, 'worker.'));
}

/** The settings of a section, by their last word. */
export function settingsIn(section: string): ReadonlyMap<string, Setting> {
  const prefix = section === '' ? '' : `${section}.`;
  return new Map(
    SETTINGS.filter(({ key }) => (section === '' ? !key.includes('.') : key.startsWith(prefix))).map((setting) => [
      setting.key.slice(prefix.length),
      setting,
    ]),
  );
}

/** The setting's own variable: `web.gracefulTimeout` -> `MEMT_WEB_GRACEFUL_TIMEOUT`. */
export function variableOf(key: string): string {
  return `MEMT_${key
    .replaceAll('.', '_')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase()}`;
}

/** The attribute under which commander gives a flag's value: `--allow-embedded` -> `allowEmbedded`. */
export function flagAttribute(flag: string): string {
  return flag
    .replace(/^--/, '')
    .replace(/ .*$/, '')
    .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
