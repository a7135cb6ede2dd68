import { workerData } from 'node:worker_threads';
import { watchMainThread, type WatchOptions } from '../../src/http/watch-thread.js';

watchMainThread(workerData as WatchOptions);
