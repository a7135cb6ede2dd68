// @ts-check
// The sample stack of this repository: `npx memt up` runs it, `npx memt init` writes the same into a project of yours.
import { defineStack } from 'memt/config';

export const { apps, memt } = defineStack({
  web: { app: './templates/app/server.js' }, // 2N+1 instances on 127.0.0.1:5000
  worker: { tasks: './templates/app/tasks.js' }, // N processes, 10 tasks at once in each
  mongodb: {},
  rabbitmq: {},
  environments: {
    development: { web: { workers: 1 } },
    production: { web: { port: 8000 } },
  },
});
