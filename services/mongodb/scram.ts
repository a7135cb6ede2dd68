import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Document } from './bson.js';

const derive = promisify(pbkdf2);
/** A server that demands more would have us burn seconds of CPU. */
const MAX_ITERATIONS = 1_000_000;

export interface Login {
  readonly user: string;
  readonly password: string;
  readonly authSource: string;
}

/**
 * Logs in by SCRAM-SHA-256, or SHA-1 when the server knows the user only by that. `ask` sends a command to the authentication database.
 * @returns null when logged in, else the server's reason
 */
export async function logIn(
  login: Login,
  mechanisms: readonly string[],
  ask: (command: Document) => Promise<Document>,
): Promise<string | null> {
  const mechanism = mechanisms.length === 0 || mechanisms.includes('SCRAM-SHA-256') ? 'SCRAM-SHA-256' : 'SCRAM-SHA-1';
  const hash = mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha1';
  const nonce = randomBytes(24).toString('base64');
  const name = login.user.replaceAll('=', '=3D').replaceAll(',', '=2C');
  const clientFirst = `n=${name},r=${nonce}`;
  const first = await ask({
    saslStart: 1,
    mechanism,
    payload: Buffer.from(`n,,${clientFirst}`),
    options: { skipEmptyExchange: true },
  });
  if (first['ok'] !== 1) return reason(first);
  const serverFirst = text(first['payload']);
  const { r: serverNonce = '', s: salt = '', i = '0' } = fields(serverFirst);
  const iterations = Number(i);
  if (!serverNonce.startsWith(nonce) || !(iterations > 0 && iterations <= MAX_ITERATIONS))
    return 'its answer to the login is malformed';
  const withoutProof = `c=biws,r=${serverNonce}`;
  const transcript = `${clientFirst},${serverFirst},${withoutProof}`;
  const secret =
    hash === 'sha256'
      ? login.password
      : createHash('md5').update(`${login.user}:mongo:${login.password}`).digest('hex');
  const salted = await derive(secret, Buffer.from(salt, 'base64'), iterations, hash === 'sha256' ? 32 : 20, hash);
  const sign = (key: Buffer, data: string): Buffer => createHmac(hash, key).update(data).digest();
  const clientKey = sign(salted, 'Client Key');
  const signature = sign(createHash(hash).update(clientKey).digest(), transcript);
  const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
  const last = await ask({
    saslContinue: 1,
    conversationId: typeof first['conversationId'] === 'number' ? first['conversationId'] : 1,
    payload: Buffer.from(`${withoutProof},p=${proof.toString('base64')}`),
  });
  if (last['ok'] !== 1) return reason(last);
  const shown = Buffer.from(fields(text(last['payload']))['v'] ?? '', 'base64');
  const expected = sign(sign(salted, 'Server Key'), transcript);
  return shown.length === expected.length && timingSafeEqual(shown, expected)
    ? null
    : 'it does not know the password itself';
}

function reason(answer: Document): string {
  return typeof answer['errmsg'] === 'string' ? answer['errmsg'] : 'login refused';
}

function text(value: Document[string]): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : '';
}

/** `r=…,s=…,i=…` by letter. */
function fields(line: string): Partial<Record<string, string>> {
  return Object.fromEntries(line.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));
}
