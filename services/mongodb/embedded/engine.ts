import { hostname } from 'node:os';
import { FailureError } from '../../../src/model/failure.js';
import type { OutDoc } from './bson/encode.js';
import { notImplemented, ServerError } from './bson/server-error.js';
import { toNumber } from './bson/number.js';
import { rank, RANK } from './bson/order.js';
import { docOf, int, isDoc, isNumeric, type Doc } from './bson/value.js';
import { truthy } from './aggregate/expression.js';
import type { Command, Request } from './commands/command.js';
import { COMMANDS, COMMON_ARGS, REFUSED_COMMANDS, TRANSACTION_COMMANDS } from './commands/registry.js';
import { Cursors } from './cursors.js';
import type { Collection } from './store/collection.js';
import type { Entry } from './store/doc-index.js';
import type { StoredDoc } from './store/record.js';
import type { Store } from './store/store.js';

/** Whose server this is, for probes: answered by hello and buildInfo. */
export interface Owner {
  readonly project: string;
  /** The layout id of the project's folder. */
  readonly id: string;
}

export interface EngineOptions {
  readonly owner: Owner | null;
  readonly version: string;
  readonly onBug: (error: unknown, command: string) => void;
}

/** The database behind the wire: takes commands, gives answers. */
export class Engine {
  readonly cursors = new Cursors();
  readonly startedAt = new Date();
  readonly connections = new Set<number>();
  connectionsMade = 0;
  port = 0;

  constructor(
    readonly store: Store,
    private readonly options: EngineOptions,
  ) {}

  get version(): string {
    return this.options.version;
  }

  host(): string {
    return `${hostname()}:${this.port}`;
  }

  ownerDoc(): Doc {
    const { owner } = this.options;
    return owner ? docOf({ project: owner.project, id: owner.id }) : new Map<string, never>();
  }

  serverInfo(): Doc {
    return docOf({ host: hostname(), port: int(this.port), version: this.version, gitVersion: 'memt' });
  }

  commandNames(): string[] {
    return [...COMMANDS.keys()];
  }

  /** @throws ServerError 26 NamespaceNotFound */
  needExisting(namespace: string): Collection {
    const collection = this.store.get(namespace);
    if (!collection) throw new ServerError(26, `ns does not exist: ${namespace}`);
    return collection;
  }

  /** The answer of one command; never throws. */
  async execute(request: Omit<Request, 'checkTime'>): Promise<OutDoc> {
    try {
      const command = commandOf(request.name);
      checkArguments(request, command);
      checkTransaction(request);
      checkApi(request.body);
      const disk = writeConcernOf(request.body);
      const answer = await command.run({ ...request, checkTime: timerOf(request.body) }, this);
      if (command.writes === true) await this.store.durable(disk);
      return new Map<string, unknown>([...answer, ['ok', 1]]);
    } catch (error) {
      return this.failed(error, request.name);
    }
  }

  private failed(error: unknown, command: string): OutDoc {
    if (error instanceof ServerError) return errorAnswer(error);
    if (error instanceof FailureError)
      return errorAnswer(new ServerError(14031, `the change could not be written: ${error.message}`));
    this.options.onBug(error, command);
    return errorAnswer(
      new ServerError(
        1,
        `internal error of memt's embedded server in ${command}: ${error instanceof Error ? error.message : String(error)}`,
      ),
    );
  }

  /** Removes what TTL indexes say is over. Returns how many documents. */
  sweep(now: number): number {
    let removed = 0;
    for (const collection of this.store.all()) {
      for (const { spec, entries } of collection.indexes) {
        if (spec.expireAfterSeconds === null) continue;
        const limit = now - spec.expireAfterSeconds * 1000;
        const flip = spec.fields[0]?.direction ?? 1;
        // Zero for the dates that are over: one stretch of the index, which is all that is read.
        const position = ({ key: [value] }: Entry): number => {
          const type = rank(value) - RANK.date;
          return (type !== 0 ? type : value instanceof Date && value.getTime() <= limit ? 0 : 1) * flip;
        };
        const over = new Set<StoredDoc>();
        for (const entry of entries.from(position)) {
          if (position(entry) !== 0) break;
          over.add(entry.record);
        }
        for (const record of over) this.store.remove(collection, record);
        removed += over.size;
      }
    }
    return removed;
  }
}

function commandOf(name: string): Command {
  const command = COMMANDS.get(name);
  if (command) return command;
  if (TRANSACTION_COMMANDS.has(name)) throw transactionRefusal();
  if (REFUSED_COMMANDS.has(name)) throw notImplemented(`The command ${name}`);
  throw new ServerError(59, `no such command: '${name}'`);
}

function checkArguments(request: Omit<Request, 'checkTime'>, command: Command): void {
  if (command.args.includes('*')) return;
  for (const name of [...request.body.keys(), ...request.sequences.keys()]) {
    if (name === request.name || COMMON_ARGS.has(name) || command.args.includes(name)) continue;
    throw new ServerError(40415, `BSON field '${request.name}.${name}' is an unknown field.`);
  }
}

// Not code 20: drivers rewrite that one into words about retryable writes.
function transactionRefusal(): ServerError {
  return new ServerError(
    263,
    "memt's embedded document server has no transactions and no retryable writes. Use a real MongoDB replica set, or leave the transaction out in development",
  );
}

function checkTransaction({ body }: Omit<Request, 'checkTime'>): void {
  if (body.has('txnNumber') || body.has('autocommit') || body.has('startTransaction')) throw transactionRefusal();
}

function checkApi(body: Doc): void {
  const version = body.get('apiVersion');
  if (version !== undefined && version !== '1') throw new ServerError(322, 'API version must be "1"');
}

/** True when the answer must wait for the disk. */
function writeConcernOf(body: Doc): boolean {
  const concern = body.get('writeConcern');
  if (!isDoc(concern)) return false;
  const w = concern.get('w');
  if (w !== undefined && w !== 'majority') {
    if (!isNumeric(w))
      throw new ServerError(
        2,
        `cannot use non-majority 'w' mode ${JSON.stringify(w)} when a host is not a member of a replica set`,
      );
    if (toNumber(w) > 1) throw new ServerError(2, "cannot use 'w' > 1 when a host is not replicated");
  }
  return truthy(concern.get('j')) || truthy(concern.get('fsync')) || w === 'majority';
}

function timerOf(body: Doc): () => void {
  const given = body.get('maxTimeMS');
  if (given === undefined || given === null) return () => undefined;
  if (!isNumeric(given)) throw new ServerError(14, "BSON field 'maxTimeMS' is the wrong type, expected a number");
  const ms = toNumber(given);
  if (!Number.isInteger(ms) || ms < 0 || ms > 2147483647)
    throw new ServerError(2, `${ms} value for maxTimeMS is out of range`);
  if (ms === 0) return () => undefined;
  const end = performance.now() + ms;
  return () => {
    if (performance.now() > end) throw new ServerError(50, 'operation exceeded time limit');
  };
}

function errorAnswer(error: ServerError): OutDoc {
  const answer = new Map<string, unknown>([
    ['ok', 0],
    ['errmsg', error.message],
    ['code', int(error.code)],
    ['codeName', error.codeName],
  ]);
  for (const [name, value] of error.extra ?? []) answer.set(name, value);
  return answer;
}
