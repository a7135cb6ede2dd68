import type { Registry } from '../src/ports/registry.js';
import { mongodbSpec } from './mongodb/spec.js';
import { rabbitmqSpec } from './rabbitmq/spec.js';

/** The engines that memt runs. Workers and web need no spec beyond their settings: memt's own programs run them. */
export const registry: Registry = { mongodb: mongodbSpec, rabbitmq: rabbitmqSpec };
