import type { Wal } from '../../../../src/wal/wal.js';
import { ServerError } from '../bson/server-error.js';

/** What the store needs of a log; src/wal is one. */
export type Journal = Pick<
  Wal,
  'append' | 'written' | 'synced' | 'snapshot' | 'totalBytes' | 'compacting' | 'failure' | 'close'
>;

/** One change of the store. The byte is what is in the journal: never change one. */
export const CHANGE = { put: 1, remove: 2, create: 3, drop: 4, addIndex: 5, dropIndex: 6, rename: 7 } as const;
export type Change = (typeof CHANGE)[keyof typeof CHANGE];

/** Bytes: change (1), length of the namespace (2), namespace, payload. */
export function encodeChange(change: Change, namespace: string, payload: Buffer): readonly Buffer[] {
  const name = Buffer.from(namespace);
  const head = Buffer.allocUnsafe(3 + name.length);
  head[0] = change;
  head.writeUInt16LE(name.length, 1);
  name.copy(head, 3);
  return [head, payload];
}

export interface DecodedChange {
  readonly change: number;
  readonly namespace: string;
  /** A copy of its own. */
  readonly payload: Buffer;
}

/** @throws ServerError 1 when the record is none of ours */
export function decodeChange(record: Buffer): DecodedChange {
  const end = record.length < 3 ? Infinity : 3 + record.readUInt16LE(1);
  if (end > record.length) throw new ServerError(1, 'the journal holds a record that is too short');
  return {
    change: record[0] ?? 0,
    namespace: record.toString('utf8', 3, end),
    payload: Buffer.from(record.subarray(end)),
  };
}
