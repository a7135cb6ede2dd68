import { show } from '../bson/show.js';
import { notImplemented, ServerError } from '../bson/server-error.js';
import { toNumber, wholeNumber } from '../bson/number.js';
import { docOf, int, isDoc, isNumeric, typeName, type Doc, type Value } from '../bson/value.js';
import { compileMatch } from '../query/match.js';
import { truthy } from '../aggregate/expression.js';

const KNOWN = new Set([
  'key',
  'name',
  'unique',
  'sparse',
  'partialFilterExpression',
  'expireAfterSeconds',
  'hidden',
  'background',
  'v',
  'ns',
  'collation',
  'dropDups',
]);
const REFUSED = new Set([
  'weights',
  'default_language',
  'language_override',
  'textIndexVersion',
  '2dsphereIndexVersion',
  'bits',
  'min',
  'max',
  'bucketSize',
  'wildcardProjection',
  'storageEngine',
  'clustered',
  'prepareUnique',
]);

/** An index as it was asked for, checked and with its name. */
export interface IndexSpec {
  readonly name: string;
  readonly key: Doc;
  readonly fields: readonly { readonly name: string; readonly direction: 1 | -1 }[];
  readonly unique: boolean;
  readonly sparse: boolean;
  readonly hidden: boolean;
  readonly partial: Doc | null;
  /** Seconds; null = no TTL index. */
  readonly expireAfterSeconds: number | null;
}

/** @throws ServerError 67, 197, 9, 238 */
export function parseIndexSpec(given: Value): IndexSpec {
  if (!isDoc(given)) throw new ServerError(14, 'The elements of the indexes array must be objects');
  for (const name of given.keys()) {
    if (REFUSED.has(name)) throw notImplemented(`The index option '${name}'`);
    if (!KNOWN.has(name)) throw new ServerError(197, `The field '${name}' is not valid for an index specification`);
  }
  const collation = given.get('collation');
  if (collation !== undefined && !(isDoc(collation) && collation.get('locale') === 'simple'))
    throw notImplemented('The index option collation');
  const key = given.get('key');
  if (!isDoc(key)) throw new ServerError(9, "The 'key' field is a required property of an index specification");
  if (key.size === 0) throw new ServerError(67, 'Index keys cannot be empty.');
  const fields = [...key].map(([name, way]) => ({ name, direction: directionOf(name, way) }));
  const name =
    given.get('name') ??
    [...key].map(([field, way]) => `${field}_${isNumeric(way) ? toNumber(way) : show(way)}`).join('_');
  if (typeof name !== 'string' || name === '') throw new ServerError(67, 'The index name must be a non-empty string');
  if (name === '*') throw new ServerError(67, "The index name '*' is not valid.");
  return {
    name,
    key,
    fields,
    unique: truthy(given.get('unique')),
    sparse: truthy(given.get('sparse')),
    hidden: truthy(given.get('hidden')),
    partial: partialOf(given),
    expireAfterSeconds: expiryOf(given.get('expireAfterSeconds'), fields.length),
  };
}

function directionOf(name: string, way: Value): 1 | -1 {
  if (typeof way === 'string') {
    if (['text', '2d', '2dsphere', 'hashed', 'geoHaystack', 'columnstore'].includes(way))
      throw notImplemented(`The index type '${way}'`);
    throw new ServerError(67, `Unknown index plugin '${way}'`);
  }
  if (!isNumeric(way))
    throw new ServerError(
      67,
      `Values in v:2 index key pattern cannot be of type ${typeName(way)}. Only numbers > 0, numbers < 0, and strings are allowed.`,
    );
  const number = toNumber(way);
  if (number === 0 || Number.isNaN(number)) throw new ServerError(67, 'Values in the index key pattern cannot be 0.');
  if (name === '' || name.split('.').includes('')) throw new ServerError(67, 'Index keys cannot be an empty field.');
  if (name.includes('$**')) throw notImplemented('A wildcard index');
  if (name.startsWith('$') && !['$id', '$ref', '$db'].includes(name))
    throw new ServerError(67, "Index key contains an illegal field name: field name starts with '$'.");
  return number > 0 ? 1 : -1;
}

const PARTIAL_OPERATORS = new Set(['$eq', '$exists', '$gt', '$gte', '$lt', '$lte', '$type', '$in']);

function partialOf(given: Doc): Doc | null {
  const filter = given.get('partialFilterExpression');
  if (filter === undefined) return null;
  if (!isDoc(filter)) throw new ServerError(14, "The field 'partialFilterExpression' must be an object");
  if (truthy(given.get('sparse')))
    throw new ServerError(67, 'cannot mix "partialFilterExpression" and "sparse" options');
  checkPartial(filter);
  compileMatch(filter);
  return filter;
}

function checkPartial(filter: Doc): void {
  for (const [name, condition] of filter) {
    if (name === '$and' || name === '$or') {
      for (const branch of Array.isArray(condition) ? condition : []) if (isDoc(branch)) checkPartial(branch);
    } else if (name.startsWith('$')) throw new ServerError(67, `unsupported expression in partial index: ${name}`);
    else if (isDoc(condition)) {
      for (const [operator, operand] of condition) {
        const allowed =
          !operator.startsWith('$') ||
          (PARTIAL_OPERATORS.has(operator) && !(operator === '$exists' && !truthy(operand)));
        if (!allowed) throw new ServerError(67, `unsupported expression in partial index: ${operator} on '${name}'`);
      }
    }
  }
}

export function expiryOf(value: Value | undefined, fieldCount: number): number | null {
  if (value === undefined) return null;
  const seconds = isNumeric(value) ? Math.trunc(toNumber(value)) : NaN;
  if (Number.isNaN(seconds)) throw new ServerError(67, "TTL index 'expireAfterSeconds' option must be numeric");
  if (seconds < 0 || seconds > 2147483647)
    throw new ServerError(
      67,
      "TTL index 'expireAfterSeconds' option must be within an acceptable range, from 0 to 2147483647",
    );
  if (fieldCount > 1)
    throw new ServerError(67, 'TTL indexes are single-field indexes, compound indexes do not support TTL');
  return seconds;
}

/** What listIndexes shows and the journal keeps. */
export function describeIndex(spec: IndexSpec): Doc {
  return docOf({
    v: int(2),
    key: spec.key,
    name: spec.name,
    unique: spec.unique && spec.name !== '_id_' ? true : undefined,
    sparse: spec.sparse ? true : undefined,
    hidden: spec.hidden ? true : undefined,
    partialFilterExpression: spec.partial ?? undefined,
    expireAfterSeconds: spec.expireAfterSeconds === null ? undefined : int(spec.expireAfterSeconds),
  });
}

export function isIdKey(key: Doc): boolean {
  return key.size === 1 && wholeNumber(key.get('_id')) === 1;
}
