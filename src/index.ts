import { createAmqpBroker } from './adapters/amqplib.js';
import { createMongoStore } from './adapters/mongodb.js';
import { App, type AppOptions, type Engines } from './tasks/app.js';

/** Engines are where memt's processes find them; amqplib and mongodb are loaded when the first message or outcome needs them. */
const engines: Engines = {
  broker: (url) =>
    createAmqpBroker({ url: url ?? process.env['RABBITMQ_URL'] ?? 'amqp://127.0.0.1:5672', name: processName() }),
  store: (uri, namespace) => createMongoStore({ uri: storeUri(uri), name: processName(), namespace }),
  namespace: (uri) => {
    const database = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?/]+)/.exec(storeUri(uri))?.[1];
    return database === undefined ? null : decodeURIComponent(database).replace(/[^A-Za-z0-9_-]/g, '-');
  },
};

function storeUri(uri: string | undefined): string {
  return uri ?? process.env['MONGODB_URI'] ?? 'mongodb://127.0.0.1:27017';
}

function processName(): string {
  return `memt ${process.env['MEMT_INSTANCE'] ?? `pid ${process.pid}`}`;
}

/** An application: its tasks, the producers that enqueue them and the workers that run them. Connects at first use. */
export function createApp(options: AppOptions = {}): App {
  return new App(options, engines);
}

export { App, Task, type AppOptions, type EnqueueOptions, type WorkerOptions } from './tasks/app.js';
export type { Drained, Worker, WorkerStatus } from './tasks/worker.js';
export type { Duration, TaskContext, TaskHandler, TaskLogger, TaskOptions } from './tasks/core/definition.js';
export {
  InvalidInput,
  ResultTimeout,
  TaskFailed,
  TimeLimitExceeded,
  Unrecoverable,
  WorkerStopping,
} from './tasks/core/errors.js';
export type { StandardSchema } from './tasks/core/schema.js';
export { TaskHandle, type TaskState } from './tasks/handle.js';
export { BrokerBlocked, BrokerUnavailable, QueueFull, Unavailable, Unroutable } from './ports/broker.js';
export { StoreUnavailable } from './ports/store.js';
