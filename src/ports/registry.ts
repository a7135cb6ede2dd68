import type { MongodbSettings, RabbitmqSettings } from '../model/settings.js';
import type { EngineSpec } from './engine.js';

/** The engines that memt knows how to run. */
export interface Registry {
  readonly mongodb: EngineSpec<MongodbSettings>;
  readonly rabbitmq: EngineSpec<RabbitmqSettings>;
}
