import { decode } from '../bson/decode.js';
import { encode, type OutDoc } from '../bson/encode.js';
import { ServerError } from '../bson/server-error.js';
import { docOf, int, isDoc, type Doc, type Value } from '../bson/value.js';
import { wholeNumber } from '../bson/number.js';
import { compileMatch } from '../query/match.js';
import type { Trace } from '../query/path.js';
import { compileFindProjection } from '../query/projection.js';
import { compileSort } from '../query/sort.js';
import { stampZero } from '../update/operators.js';
import { compileUpdate, upsertBase, withId, type Updater } from '../update/update.js';
import type { Variables } from '../aggregate/expression.js';
import type { Engine } from '../engine.js';
import type { StoredDoc } from '../store/record.js';
import {
  arrayArg,
  boolArg,
  checkCollation,
  docArg,
  documentsOf,
  namespaceOf,
  wrongType,
  type Command,
  type Request,
} from './command.js';
import { EMPTY, flag, hintOf, letVariables, select } from './read.js';

const MAX_BATCH = 100_000;

/** Runs the statements of a write command, gathering errors; stops at the first one when ordered. */
function eachStatement<T>(
  request: Request,
  statements: readonly T[],
  run: (statement: T, index: number) => void,
): Doc[] {
  if (statements.length === 0 || statements.length > MAX_BATCH) {
    throw new ServerError(
      16,
      `Write batch sizes must be between 1 and ${MAX_BATCH}. Got ${statements.length} operations.`,
    );
  }
  const ordered = !request.body.has('ordered') || boolArg(request, 'ordered');
  const errors: Doc[] = [];
  for (const [index, statement] of statements.entries()) {
    try {
      request.checkTime();
      run(statement, index);
    } catch (error) {
      // A full disk concerns every statement, not this one.
      if (!(error instanceof ServerError) || error.code === 14031 || error.code === 50) throw error;
      errors.push(
        docOf({
          index: int(index),
          code: int(error.code),
          ...Object.fromEntries(error.extra ?? []),
          errmsg: error.message,
        }),
      );
      if (ordered) break;
    }
  }
  return errors;
}

function writeAnswer(n: number, errors: readonly Doc[], more: Readonly<Record<string, unknown>> = {}): OutDoc {
  const answer = new Map<string, unknown>([['n', int(n)], ...Object.entries(more)]);
  if (errors.length > 0) answer.set('writeErrors', errors);
  return answer;
}

const insert: Command = {
  args: ['documents', 'ordered', 'bypassDocumentValidation'],
  writes: true,
  run: (request, engine) => {
    const namespace = namespaceOf(request);
    const given = documentsOf(request, 'documents');
    let inserted = 0;
    const errors = eachStatement(request, given, ({ doc, bytes }) => {
      checkId(doc.get('_id'));
      const collection = engine.store.need(namespace);
      const [first] = doc.keys();
      if (bytes !== null && first === '_id' && !hasZeroStamp(doc))
        engine.store.insert(collection, doc, Buffer.from(bytes));
      else {
        const complete = withId(doc);
        stampZero(complete);
        engine.store.insert(collection, complete);
      }
      inserted += 1;
    });
    return writeAnswer(inserted, errors);
  },
};

function hasZeroStamp(doc: Doc): boolean {
  const copy = new Map(doc);
  stampZero(copy);
  for (const [name, value] of doc) if (copy.get(name) !== value) return true;
  return false;
}

function checkId(id: Value | undefined): void {
  if (Array.isArray(id)) throw new ServerError(53, "The '_id' value cannot be of type array");
  if (id !== undefined && typeof id === 'object' && id !== null && '_bsontype' in id && id._bsontype === 'BSONRegExp') {
    throw new ServerError(53, "The '_id' value cannot be of type regex");
  }
  if (isDoc(id))
    for (const name of id.keys())
      if (name.startsWith('$'))
        throw new ServerError(52, `_id fields may not contain '$'-prefixed fields: ${name} is not valid for storage.`);
}

/** The changed document; its trace tells `$` which element matched. */
function changed(updater: Updater, record: StoredDoc, query: Doc, variables: Variables): Doc {
  const trace: Trace = { position: null };
  if (updater.positional) compileMatch(query, variables)(record.doc, trace);
  return updater.apply(record.doc, { matched: trace.position, inserting: false });
}

function upserted(engine: Engine, namespace: string, query: Doc, updater: Updater): Doc {
  const base = upsertBase(query);
  const start = updater.kind === 'replacement' ? new Map([...base].filter(([name]) => name === '_id')) : base;
  const doc = withId(updater.apply(start, { matched: null, inserting: true }));
  checkId(doc.get('_id'));
  stampZero(doc);
  engine.store.insert(engine.store.need(namespace), doc);
  return doc;
}

const STATEMENT = {
  update: ['q', 'u', 'multi', 'upsert', 'arrayFilters', 'hint', 'collation', 'c'],
  delete: ['q', 'limit', 'hint', 'collation'],
} as const;

/** The query of a statement, after its fields were checked. */
function statementQuery(kind: keyof typeof STATEMENT, list: string, statement: Doc): Doc {
  const known: readonly string[] = STATEMENT[kind];
  for (const name of statement.keys())
    if (!known.includes(name))
      throw new ServerError(40415, `BSON field '${kind}.${list}.${name}' is an unknown field.`);
  checkCollation(statement);
  const query = statement.get('q');
  if (isDoc(query)) return query;
  throw query === undefined
    ? new ServerError(40414, `BSON field '${kind}.${list}.q' is missing but a required field`)
    : wrongType(`${kind}.${list}.q`, query, 'object');
}

function filtersOf(holder: Doc): readonly Value[] {
  const filters = holder.get('arrayFilters') ?? [];
  if (Array.isArray(filters)) return filters;
  throw wrongType('arrayFilters', filters, 'array');
}

const update: Command = {
  args: ['updates', 'ordered', 'bypassDocumentValidation', 'let'],
  writes: true,
  run: (request, engine) => {
    const namespace = namespaceOf(request);
    const variables = letVariables(request);
    let n = 0;
    let modified = 0;
    const upserts: Doc[] = [];
    const errors = eachStatement(request, documentsOf(request, 'updates'), ({ doc: statement }, index) => {
      const query = statementQuery('update', 'updates', statement);
      const constants = statement.get('c');
      const scope = isDoc(constants) ? new Map([...variables, ...constants]) : variables;
      const updater = compileUpdate(statement.get('u') ?? null, filtersOf(statement), scope);
      const multi = flag(statement, 'multi');
      if (multi && updater.kind === 'replacement')
        throw new ServerError(9, 'multi update is not supported for replacement-style update');
      const collection = engine.store.get(namespace);
      const found = select(collection, {
        query,
        matches: compileMatch(query, scope),
        hint: hintOf(collection, statement),
        limit: multi ? Infinity : 1,
        checkTime: request.checkTime,
      });
      if (collection) {
        for (const record of found) {
          if (engine.store.replace(collection, record, changed(updater, record, query, scope))) modified += 1;
          n += 1;
        }
      }
      if (found.length === 0 && flag(statement, 'upsert')) {
        const doc = upserted(engine, namespace, query, updater);
        upserts.push(docOf({ index: int(index), _id: doc.get('_id') }));
        n += 1;
      }
    });
    return writeAnswer(n, errors, { nModified: int(modified), ...(upserts.length > 0 ? { upserted: upserts } : {}) });
  },
};

const remove: Command = {
  args: ['deletes', 'ordered', 'let'],
  writes: true,
  run: (request, engine) => {
    const namespace = namespaceOf(request);
    const variables = letVariables(request);
    let n = 0;
    const errors = eachStatement(request, documentsOf(request, 'deletes'), ({ doc: statement }) => {
      const query = statementQuery('delete', 'deletes', statement);
      const limit = wholeNumber(statement.get('limit'));
      if (limit !== 0 && limit !== 1) throw new ServerError(9, 'The limit field in delete objects must be 0 or 1.');
      const collection = engine.store.get(namespace);
      const matches = compileMatch(query, variables);
      if (!collection) return;
      for (const record of select(collection, {
        query,
        matches,
        hint: hintOf(collection, statement),
        limit: limit === 1 ? 1 : Infinity,
        checkTime: request.checkTime,
      })) {
        engine.store.remove(collection, record);
        n += 1;
      }
    });
    return writeAnswer(n, errors);
  },
};

const findAndModify: Command = {
  args: [
    'query',
    'sort',
    'remove',
    'update',
    'new',
    'fields',
    'upsert',
    'bypassDocumentValidation',
    'arrayFilters',
    'collation',
    'hint',
    'let',
  ],
  writes: true,
  run: (request, engine) => {
    checkCollation(request.body);
    const namespace = namespaceOf(request);
    const query = docArg(request, 'query') ?? EMPTY;
    const variables = letVariables(request);
    const matches = compileMatch(query, variables);
    const fields = docArg(request, 'fields');
    const project = fields && fields.size > 0 ? compileFindProjection(fields, matches, variables) : (doc: Doc) => doc;
    const wanted = request.body.get('update');
    const removing = boolArg(request, 'remove');
    if (removing === (wanted !== undefined))
      throw new ServerError(
        9,
        removing
          ? 'Cannot specify both an update and remove=true'
          : 'Either an update or remove=true must be specified',
      );
    if (removing && boolArg(request, 'new'))
      throw new ServerError(
        9,
        "Cannot specify both new=true and remove=true; 'remove' always returns the deleted document",
      );
    if (removing && boolArg(request, 'upsert'))
      throw new ServerError(9, 'Cannot specify both upsert=true and remove=true ');
    const sortSpec = docArg(request, 'sort');
    const collection = engine.store.get(namespace);
    const updater =
      wanted === undefined ? null : compileUpdate(wanted, arrayArg(request, 'arrayFilters') ?? [], variables);
    const [record] = select(collection, {
      query,
      matches,
      sort: sortSpec && sortSpec.size > 0 ? compileSort(sortSpec) : null,
      hint: hintOf(collection, request.body),
      limit: 1,
      checkTime: request.checkTime,
    });
    if (record && collection) {
      if (!updater) {
        engine.store.remove(collection, record);
        return modifyAnswer(project(record.doc), docOf({ n: int(1) }));
      }
      const after = changed(updater, record, query, variables);
      engine.store.replace(collection, record, after);
      const shown = boolArg(request, 'new') ? project(decode(encode(after))) : project(record.doc);
      return modifyAnswer(shown, docOf({ n: int(1), updatedExisting: true }));
    }
    if (updater && boolArg(request, 'upsert')) {
      const doc = upserted(engine, namespace, query, updater);
      return modifyAnswer(
        boolArg(request, 'new') ? project(doc) : null,
        docOf({ n: int(1), updatedExisting: false, upserted: doc.get('_id') }),
      );
    }
    return modifyAnswer(null, updater ? docOf({ n: int(0), updatedExisting: false }) : docOf({ n: int(0) }));
  },
};

function modifyAnswer(value: Doc | null, lastErrorObject: Doc): OutDoc {
  return docOf({ lastErrorObject, value });
}

export const writeCommands: Readonly<Record<string, Command>> = {
  insert,
  update,
  delete: remove,
  findAndModify,
  findandmodify: findAndModify,
};
