import type { Broker } from '../ports/broker.js';
import type { Store } from '../ports/store.js';
import type { TaskDefinition, TaskLogger } from './core/definition.js';

/** What an application's producers and workers share. */
export interface Runtime {
  readonly broker: Broker;
  readonly store: Store;
  readonly namespace: string;
  readonly publishTimeoutMs: number;
  readonly log: TaskLogger;
  find(task: string): TaskDefinition | undefined;
}
