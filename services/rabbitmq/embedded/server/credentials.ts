import { Reader } from '../codec/bytes.js';
import { readTable, textOf } from '../codec/table.js';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** What a client says about itself by PLAIN or AMQPLAIN; undefined when it cannot be read. */
export function credentialsOf(mechanism: string, response: Buffer): Credentials | undefined {
  switch (mechanism) {
    case 'PLAIN': {
      const [, user, password, more] = response.toString().split('\0');
      return user === undefined || password === undefined || more !== undefined ? undefined : { user, password };
    }
    case 'AMQPLAIN': {
      // A table without its length.
      const length = Buffer.alloc(4);
      length.writeUInt32BE(response.length);
      const table = readTable(new Reader(Buffer.concat([length, response])));
      const user = textOf(table.get('LOGIN'));
      const password = textOf(table.get('PASSWORD'));
      return user === undefined || password === undefined ? undefined : { user, password };
    }
    default:
      return undefined;
  }
}
