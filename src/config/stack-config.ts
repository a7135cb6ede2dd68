/** A time: a number of milliseconds, or a text such as `'30s'`, `'500ms'`, `'1m30s'`. */
export type Duration = number | string;

/** A number of processes: a number, or a formula over the CPUs that are really ours: `'2N+1'`, `'N+1'`, `'N'`, `'cpus'`. */
export type Count = number | 'cpus' | 'N' | (string & Record<never, never>);

/** The web server: a Node cluster. */
export interface WebConfig {
  /**
   * Module whose export is the application: a `(req, res)` handler, an Express, Koa or Fastify application, or `{ fetch }`.
   * Relative to the config's folder; `'./server.js:api'` takes the export `api` instead of the default.
   */
  app?: string;
  /** Address to listen on. Default `'127.0.0.1'`. */
  host?: string;
  /** Port to listen on, 1 to 65535. Default 5000. */
  port?: number | string;
  /** Instances. Default `'2N+1'` (1 in `development`). */
  workers?: Count;
  /** An instance whose event loop is blocked for this long is replaced; 0 = never. Default `'30s'`. */
  timeout?: Duration;
  /** How long a stopping instance may finish its requests. Default `'30s'`. */
  gracefulTimeout?: Duration;
  /** Connections that may wait to be accepted. Default 2048. */
  backlog?: number;
}

/** A group of queue workers. */
export interface WorkerConfig {
  /** Module that defines the tasks, relative to the config's folder; `'./tasks.js:mail'` takes one export. */
  tasks?: string;
  /** Processes. Default `'N'`. */
  processes?: Count;
  /** Tasks at once in one process. Default 10. */
  concurrency?: number;
  /** How long a stopping worker may finish its tasks before they are returned to the queue. Default `'30s'`. */
  gracefulTimeout?: Duration;
}

/** What MongoDB and RabbitMQ have in common. */
export interface EngineConfig {
  /** Address that our own server listens on. Default `'127.0.0.1'`. */
  host?: string;
  /** Port that our own server listens on. Default 27017 (MongoDB), 5672 (RabbitMQ). */
  port?: number | string;
  /** The server program. Default: searched for. */
  binary?: string;
  /** `'auto'` (default) takes the real server when it is found, else the embedded one. */
  engine?: 'auto' | 'real' | 'embedded';
  /** Use a healthy server that already answers on the port. Default true. */
  adopt?: boolean;
}

export interface MongodbConfig extends EngineConfig {
  /** `mongodb://` or `mongodb+srv://`: an existing server, checked and never started or stopped. MONGODB_URI does the same. */
  uri?: string;
  /** Data folder. Default `'.memt/data/mongodb'`, which is made; a folder of your own must exist. */
  dbpath?: string;
  /** Default: the URI's, else the project's name. */
  database?: string;
}

export interface RabbitmqConfig extends EngineConfig {
  /** `amqp://` or `amqps://`: an existing server, checked and never started or stopped. RABBITMQ_URL does the same. */
  url?: string;
  /** Port of the management page; false switches it off. Default 15672. */
  managementPort?: number | string | false;
  /** Data folder. Default `'.memt/data/rabbitmq'`. */
  dataDir?: string;
  /** Default: the URL's, else the project's name. */
  vhost?: string;
  /** Default `'guest'`. */
  user?: string;
  /** Default `'guest'`, which production refuses beyond loopback. */
  password?: string;
}

/** What an environment may change: everything but `environments` itself. Objects are merged key by key. */
export interface EnvironmentConfig {
  /** Name of the project. Default: package.json's name, else the folder's. */
  name?: string;
  /** N for counts. Default: CPUs by affinity and cgroup quotas. */
  cpus?: number;
  /** Allow embedded engines. Default: yes, except in production. */
  allowEmbedded?: boolean;
  /** How long an engine (default `'60s'`) and a worker or web instance (default `'30s'`) may take to become healthy. */
  timeouts?: { engine?: Duration; instance?: Duration };
  /** The web server; false or absent = none. */
  web?: WebConfig | boolean;
  /** The queue workers; false or absent = none. */
  worker?: WorkerConfig | boolean;
  /** Further worker groups by name; each is a unit of that name. */
  workers?: Record<string, WorkerConfig | boolean>;
  /** MongoDB; `{}` = with defaults, false or absent = none. */
  mongodb?: MongodbConfig | boolean;
  /** RabbitMQ; `{}` = with defaults, false or absent = none. */
  rabbitmq?: RabbitmqConfig | boolean;
  nginx?: false;
}

/** The whole stack. Unknown keys are errors. */
export interface StackConfig extends EnvironmentConfig {
  /** Changes per environment: `local`, `development`, `production` and names of your own. */
  environments?: Record<string, EnvironmentConfig>;
}
