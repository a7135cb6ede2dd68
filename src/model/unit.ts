/** A unit is one box of the stack: an engine, a worker group, the web server, nginx or a user service. */
export type UnitName = string;

export const UNIT_KINDS = ['mongodb', 'rabbitmq', 'worker', 'web', 'nginx'] as const;
export type UnitKind = (typeof UNIT_KINDS)[number];

export type UnitState = 'healthy' | 'starting' | 'degraded' | 'failed' | 'stopped';
export type StackState = 'healthy' | 'starting' | 'degraded' | 'down';

/** How an engine came to be used: DESIGN "which engine runs". `null` for units that are not engines. */
export type EngineMode = 'external' | 'adopted' | 'spawned' | 'embedded';

/** An instance is one process of a unit: `web.0`, `worker.1`, `mongodb`. */
export type InstanceState = 'starting' | 'healthy' | 'draining' | 'degraded' | 'failed' | 'stopped';
