import type { HeaderValue, IncomingMessage, OutgoingMessage } from '../../ports/broker.js';
import { jsonText } from './json.js';

/** Version of the message format: headers and body of everything that memt publishes. */
export const ENVELOPE_SCHEMA = 1;
/** Longest body in bytes: a message carries ids, documents belong into the database. */
export const MAX_BODY_BYTES = 1_048_576;
/** A short string of AMQP ends at 255 bytes. */
const MAX_ID_BYTES = 200;

export const HEADERS = {
  schema: 'memt-schema',
  attempt: 'memt-attempt',
  /** Unix ms of the enqueue. */
  enqueuedAt: 'memt-enqueued-at',
  /** Why a message lies in the dead queue. */
  reason: 'memt-reason',
  error: 'memt-error',
} as const;

/** One run to make: version 1 of the envelope, decoded. */
export interface Envelope {
  readonly id: string;
  readonly task: string;
  /** From 1. */
  readonly attempt: number;
  readonly enqueuedAt: number;
  /** JSON text of the input. */
  readonly body: Buffer;
}

export type Decoded =
  | { readonly ok: true; readonly envelope: Envelope; readonly input: unknown }
  | { readonly ok: false; readonly reason: string };

/** Headers are made anew: a copied `x-death` would make the broker drop the message as a cycle. https://github.com/celery/celery/issues/9867 */
export function encode(envelope: Envelope, extra: Readonly<Record<string, HeaderValue>> = {}): OutgoingMessage {
  return {
    id: envelope.id,
    type: envelope.task,
    contentType: 'application/json',
    headers: {
      [HEADERS.schema]: ENVELOPE_SCHEMA,
      [HEADERS.attempt]: envelope.attempt,
      [HEADERS.enqueuedAt]: envelope.enqueuedAt,
      ...extra,
    },
    body: envelope.body,
  };
}

/** What a message asks for, or why it is none of ours. Messages of foreign producers need an id, a type and a JSON body. */
export function decode(message: IncomingMessage): Decoded {
  const { id, type, headers } = message;
  if (!isId(id)) return refuse('no message id');
  if (type === null || type === '') return refuse('no task name in the property "type"');
  const schema = headers[HEADERS.schema] ?? ENVELOPE_SCHEMA;
  if (schema !== ENVELOPE_SCHEMA)
    return refuse(`envelope version ${describe(schema)}, this worker knows ${ENVELOPE_SCHEMA}`);
  const attempt = headers[HEADERS.attempt] ?? 1;
  if (!isCount(attempt)) return refuse(`attempt ${describe(attempt)} is no count`);
  const enqueuedAt = headers[HEADERS.enqueuedAt];
  let input: unknown;
  try {
    input = JSON.parse(message.body.toString('utf8'));
  } catch {
    return refuse('the body is not JSON');
  }
  return {
    ok: true,
    envelope: {
      id,
      task: type,
      attempt,
      enqueuedAt: isCount(enqueuedAt) ? enqueuedAt : Date.now(),
      body: message.body,
    },
    input,
  };
}

/** Ids are chosen by callers too: anything printable of a sane length. */
export function isId(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    Buffer.byteLength(value) <= MAX_ID_BYTES &&
    !/[\p{Cc}\p{Cs}]/u.test(value)
  );
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;
}

function describe(value: unknown): string {
  return (jsonText(value) ?? typeof value).slice(0, 80);
}

function refuse(reason: string): Decoded {
  return { ok: false, reason };
}
