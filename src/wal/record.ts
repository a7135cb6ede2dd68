import { crc32 } from 'node:zlib';

/** Marker, length and checksum. */
export const RECORD_OVERHEAD = 12;

/** Longest payload in bytes: a longer length in a file is damage. */
export const MAX_PAYLOAD = 1024 * 1024 * 1024;

/** Version of the format of every file of a log; a higher one in a file means a newer memt wrote it. */
export const FORMAT_VERSION = 1;

/** File header: 7 bytes name, 1 version, 4 marker, 4 checksum of the 12 before. */
export const HEADER_BYTES = 16;

const NAME = Buffer.from('MEMTWAL', 'latin1');

/** A file header; `marker` is random per log, so that payloads which hold other log files are never taken for records. */
export function encodeHeader(marker: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  NAME.copy(header);
  header[7] = FORMAT_VERSION;
  header.writeUInt32LE(marker, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

export type Header =
  | { readonly kind: 'header'; readonly marker: number }
  | { readonly kind: 'newer'; readonly version: number }
  | { readonly kind: 'bad' };

export function decodeHeader(bytes: Buffer): Header {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 7).equals(NAME)) return { kind: 'bad' };
  if (crc32(bytes.subarray(0, 12)) !== bytes.readUInt32LE(12)) return { kind: 'bad' };
  const version = bytes[7] ?? 0;
  return version > FORMAT_VERSION ? { kind: 'newer', version } : { kind: 'header', marker: bytes.readUInt32LE(8) };
}

/** Writes marker, length and checksum of a payload into `target` at `at`. */
export function encodePrefix(
  target: Buffer,
  at: number,
  marker: number,
  parts: readonly Buffer[],
  length: number,
): void {
  target.writeUInt32LE(marker, at);
  target.writeUInt32LE(length, at + 4);
  // The length seeds the checksum, so a damaged length is found, too.
  let sum = (length ^ marker) >>> 0;
  for (const part of parts) sum = crc32(part, sum);
  target.writeUInt32LE(sum, at + 8);
}

export type Read =
  | { readonly kind: 'record'; readonly payload: Buffer; readonly end: number }
  /** `bytes` from `at` on are needed to decide. */
  | { readonly kind: 'need'; readonly bytes: number }
  | { readonly kind: 'bad' };

/** The record that begins at `at`. */
export function readRecord(bytes: Buffer, at: number, marker: number): Read {
  if (bytes.length - at < RECORD_OVERHEAD) return { kind: 'need', bytes: RECORD_OVERHEAD };
  const length = bytes.readUInt32LE(at + 4);
  if (bytes.readUInt32LE(at) !== marker || length > MAX_PAYLOAD) return { kind: 'bad' };
  const end = at + RECORD_OVERHEAD + length;
  if (bytes.length < end) return { kind: 'need', bytes: RECORD_OVERHEAD + length };
  const payload = bytes.subarray(at + RECORD_OVERHEAD, end);
  if (crc32(payload, (length ^ marker) >>> 0) !== bytes.readUInt32LE(at + 8)) return { kind: 'bad' };
  return { kind: 'record', payload, end };
}
