import { open, type FileHandle } from 'node:fs/promises';
import { FailureError } from '../model/failure.js';
import { decodeHeader, HEADER_BYTES, readRecord } from './record.js';
import { damage } from './trouble.js';

const CHUNK = 256 * 1024;

export type Replay =
  /** Every byte up to `end`, the end of the file, is a good record. */
  | { readonly kind: 'whole'; readonly marker: number; readonly end: number; readonly closed: boolean }
  /** The last write of a crashed process: after `end` no good record follows. */
  | { readonly kind: 'torn'; readonly marker: number; readonly end: number; readonly lost: number }
  /** The file was being created when the process died: not even the header is there. */
  | { readonly kind: 'unborn'; readonly lost: number };

/**
 * Reads one file record by record. An empty record (the end mark of a snapshot) sets `closed`.
 * @throws FailureError when it is damaged elsewhere than at its very end, or was written by a newer memt.
 */
export async function replayFile(path: string, onRecord: (payload: Buffer) => void): Promise<Replay> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const header = decodeHeader(await readAt(file, 0, HEADER_BYTES));
    switch (header.kind) {
      case 'newer':
        throw new FailureError({
          kind: 'data-dir',
          what: `${path} has format ${header.version}, which this memt cannot read`,
          mend: 'Update memt, or use another data folder',
        });
      case 'bad':
        // The header is synced before the first record is written, so only a file without records can be torn here.
        if (size <= HEADER_BYTES) return { kind: 'unborn', lost: size };
        throw damage(path, 0, 'its header is not that of a log');
      case 'header':
        return await replayRecords(path, file, size, header.marker, onRecord);
    }
  } finally {
    await file.close();
  }
}

async function replayRecords(
  path: string,
  file: FileHandle,
  size: number,
  marker: number,
  onRecord: (payload: Buffer) => void,
): Promise<Replay> {
  let bytes: Buffer = Buffer.alloc(0);
  let base = HEADER_BYTES;
  let closed = false;
  for (let at = 0; ;) {
    const read = readRecord(bytes, at, marker);
    if (read.kind === 'record') {
      at = read.end;
      closed = read.payload.length === 0;
      if (!closed) onRecord(read.payload);
      continue;
    }
    const offset = base + at;
    if (read.kind === 'need' && offset + read.bytes <= size) {
      bytes = await readAt(file, offset, Math.min(Math.max(CHUNK, read.bytes), size - offset));
      base = offset;
      at = 0;
      if (bytes.length >= read.bytes) continue;
      throw damage(path, offset, 'it became shorter while it was read');
    }
    if (offset === size) return { kind: 'whole', marker, end: offset, closed };
    const next = await findRecord(file, offset + 1, size, marker);
    if (next !== undefined)
      throw damage(path, offset, `the record there is unreadable, but good ones follow from offset ${next}`);
    return { kind: 'torn', marker, end: offset, lost: size - offset };
  }
}

/** Offset of the first good record at or after `from`. */
async function findRecord(file: FileHandle, from: number, size: number, marker: number): Promise<number | undefined> {
  const needle = Buffer.alloc(4);
  needle.writeUInt32LE(marker);
  for (let base = from; base < size; base += CHUNK) {
    // Overlaps by three bytes, so that a marker across the seam is seen.
    const bytes = await readAt(file, base, Math.min(CHUNK + 3, size - base));
    for (let hit = bytes.indexOf(needle); hit >= 0; hit = bytes.indexOf(needle, hit + 1)) {
      if (await isRecord(file, base + hit, size, marker)) return base + hit;
    }
  }
  return undefined;
}

async function isRecord(file: FileHandle, offset: number, size: number, marker: number): Promise<boolean> {
  const prefix = readRecord(await readAt(file, offset, Math.min(64, size - offset)), 0, marker);
  if (prefix.kind !== 'need') return prefix.kind === 'record';
  if (offset + prefix.bytes > size) return false;
  return readRecord(await readAt(file, offset, prefix.bytes), 0, marker).kind === 'record';
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
