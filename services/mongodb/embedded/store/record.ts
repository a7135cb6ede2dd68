import { decode } from '../bson/decode.js';
import type { Doc } from '../bson/value.js';

/** Decoded documents are kept up to this many bytes of BSON, then all are let go at once. */
const CACHE_BYTES = 48 * 1024 * 1024;
const CACHE_LARGEST = 256 * 1024;

let cached: StoredDoc[] = [];
let cachedBytes = 0;

/** One stored document: its bytes, and on demand its values. Never changed: an update makes another one. */
export class StoredDoc {
  private decoded: Doc | undefined;

  constructor(
    readonly bytes: Buffer,
    /** Place in natural order. */
    readonly sequence: number,
  ) {}

  /** The values; must not be changed. */
  get doc(): Doc {
    if (this.decoded) return this.decoded;
    const doc = decode(this.bytes);
    this.keep(doc);
    return doc;
  }

  private keep(doc: Doc): void {
    if (this.bytes.length > CACHE_LARGEST) return;
    this.decoded = doc;
    cached.push(this);
    cachedBytes += this.bytes.length;
    if (cachedBytes <= CACHE_BYTES) return;
    for (const record of cached) record.decoded = undefined;
    cached = [];
    cachedBytes = 0;
  }
}
