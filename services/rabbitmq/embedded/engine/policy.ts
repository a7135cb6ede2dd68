import { encodeTable, integerOf, sameField, text, textOf, typeName, type Field, type Table } from '../codec/table.js';
import { AmqpError, refused } from './trouble.js';

/** What the arguments of a queue ask for. Times in ms; undefined = not set. */
export interface Policy {
  readonly type: 'classic' | 'quorum';
  readonly messageTtl: number | undefined;
  readonly expires: number | undefined;
  readonly deadLetterExchange: string | undefined;
  readonly deadLetterRoutingKey: string | undefined;
  readonly maxLength: number | undefined;
  readonly maxLengthBytes: number | undefined;
  readonly overflow: 'drop-head' | 'reject-publish' | 'reject-publish-dlx';
  readonly maxPriority: number;
  readonly singleActive: boolean;
  readonly deliveryLimit: number | undefined;
}

const OVERFLOWS = ['drop-head', 'reject-publish', 'reject-publish-dlx'] as const;

type Check = (field: Field) => string | undefined;

const natural =
  (min: number, max = Number.MAX_SAFE_INTEGER): Check =>
  (field) => {
    const value = integerOf(field);
    if (value === undefined) return `"expected integer, got ${typeName(field)}"`;
    if (value < 0) return `{value_negative,${value}}`;
    if (value < min) return `{value_zero,${value}}`;
    return value > max ? `{max_value_exceeded,${value}}` : undefined;
  };
const string: Check = (field) => (field.type === 'S' ? undefined : `{unacceptable_type,${typeName(field)}}`);
const boolean: Check = (field) => (field.type === 't' ? undefined : `{unacceptable_type,${typeName(field)}}`);
const oneOf =
  (values: readonly string[], wrong: (value: string) => string): Check =>
  (field) =>
    string(field) ?? (values.includes(textOf(field) ?? '') ? undefined : wrong(textOf(field) ?? ''));
const version: Check = (field) => {
  const value = integerOf(field);
  return natural(0)(field) ?? (value === 1 || value === 2 ? undefined : `"unsupported queue version '${value ?? ''}'"`);
};

interface Argument {
  readonly check: Check;
  readonly on: 'both' | 'classic' | 'quorum';
}

/** Every argument that means something; others are kept and ignored, as RabbitMQ does. */
const ARGUMENTS: Readonly<Record<string, Argument>> = {
  'x-expires': { check: natural(1), on: 'both' },
  'x-message-ttl': { check: natural(0), on: 'both' },
  'x-dead-letter-exchange': { check: string, on: 'both' },
  'x-dead-letter-routing-key': { check: string, on: 'both' },
  'x-dead-letter-strategy': {
    check: oneOf(['at-most-once', 'at-least-once'], () => 'invalid_dlx_strategy'),
    on: 'quorum',
  },
  'x-max-length': { check: natural(0), on: 'both' },
  'x-max-length-bytes': { check: natural(0), on: 'both' },
  'x-max-in-memory-length': { check: natural(0), on: 'quorum' },
  'x-max-in-memory-bytes': { check: natural(0), on: 'quorum' },
  'x-max-priority': { check: natural(0, 255), on: 'classic' },
  'x-overflow': { check: oneOf(OVERFLOWS, () => 'invalid_overflow'), on: 'both' },
  'x-single-active-consumer': { check: boolean, on: 'both' },
  'x-delivery-limit': { check: natural(0), on: 'quorum' },
  'x-quorum-initial-group-size': { check: natural(1), on: 'quorum' },
  'x-queue-mode': { check: oneOf(['default', 'lazy'], (mode) => `"unsupported queue mode '${mode}'"`), on: 'classic' },
  'x-queue-version': { check: version, on: 'classic' },
  'x-queue-type': { check: string, on: 'both' },
  'x-queue-leader-locator': { check: string, on: 'quorum' },
  'x-queue-master-locator': { check: string, on: 'classic' },
};

/** Reads and checks the arguments of `what` (`queue 'q' in vhost '/'`). @throws AmqpError */
export function policyOf(args: Table, what: string): Policy {
  const kind = textOf(args.get('x-queue-type')) ?? 'classic';
  if (kind === 'stream')
    throw new AmqpError(
      'NOT_IMPLEMENTED',
      `queue type 'stream' of ${what}: memt's embedded broker has no streams; use a real RabbitMQ`,
    );
  if (kind !== 'classic' && kind !== 'quorum') {
    throw refused(`invalid arg 'x-queue-type' for ${what}: "unsupported queue type '${kind}'"`);
  }
  for (const [name, field] of args) {
    const argument = ARGUMENTS[name];
    if (!argument) continue;
    if (argument.on !== 'both' && argument.on !== kind)
      throw refused(`invalid arg '${name}' for ${what} of queue type rabbit_${kind}_queue`);
    if (name === 'x-dead-letter-exchange' && field.type !== 'S')
      throw refused(`invalid type '${typeName(field)}' for arg '${name}' in ${what}`);
    const wrong = argument.check(field);
    if (wrong !== undefined) throw refused(`invalid arg '${name}' for ${what}: ${wrong}`);
  }
  if (args.has('x-dead-letter-routing-key') && !args.has('x-dead-letter-exchange')) {
    throw refused(`invalid arg 'x-dead-letter-routing-key' for ${what}: routing_key_but_no_dlx_defined`);
  }
  const number = (name: string): number | undefined => integerOf(args.get(name));
  const overflow = textOf(args.get('x-overflow'));
  return {
    type: kind,
    messageTtl: number('x-message-ttl'),
    expires: number('x-expires'),
    deadLetterExchange: textOf(args.get('x-dead-letter-exchange')),
    deadLetterRoutingKey: textOf(args.get('x-dead-letter-routing-key')),
    maxLength: number('x-max-length'),
    maxLengthBytes: number('x-max-length-bytes'),
    // RabbitMQ, too, falls back to drop-head for a quorum queue that asks for reject-publish-dlx.
    overflow:
      kind === 'quorum' && overflow === 'reject-publish-dlx'
        ? 'drop-head'
        : (OVERFLOWS.find((one) => one === overflow) ?? 'drop-head'),
    maxPriority: number('x-max-priority') ?? 0,
    singleActive: args.get('x-single-active-consumer')?.value === true,
    deliveryLimit: number('x-delivery-limit'),
  };
}

/** What is the same as not being there. */
const DEFAULTS: Table = new Map([['x-queue-type', text('classic')]]);

/** Compares arguments of a second declaration with those that are in force. @throws AmqpError 406 */
export function assertSameArguments(names: readonly string[], received: Table, current: Table, what: string): void {
  for (const name of names) {
    const got = received.get(name);
    const have = current.get(name);
    if (sameField(got ?? DEFAULTS.get(name), have ?? DEFAULTS.get(name))) continue;
    const [wanted, inForce] =
      got && have ? [`'${valueOf(got)}'`, `'${valueOf(have)}'`] : [describe(got), describe(have)];
    throw refused(`inequivalent arg '${name}' for ${what}: received ${wanted} but current is ${inForce}`);
  }
}

export const COMPARED_QUEUE_ARGUMENTS = Object.keys(ARGUMENTS);

function describe(field: Field | undefined): string {
  return field ? `the value '${valueOf(field)}' of type '${typeName(field)}'` : 'none';
}

function valueOf(field: Field): string {
  if (field.type === 'S') return field.value.toString();
  const plain = integerOf(field) ?? (field.type === 't' ? field.value : undefined);
  return plain === undefined ? encodeTable(new Map([['', field]])).toString('hex') : String(plain);
}
