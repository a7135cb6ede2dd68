import { FailureError } from '../model/failure.js';
import { asError, codeOf } from '../util/errors.js';

/** A system error of the log's files as the Failure that its user reads; `doing` completes `cannot …`. */
export function diskTrouble(error: unknown, doing: string): FailureError {
  if (error instanceof FailureError) return error;
  const code = codeOf(error);
  if (code === undefined) throw error;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new FailureError({
        kind: 'disk-full',
        what: `cannot ${doing}: no space left on the device (${code})`,
        mend: 'Free some space, then start it again: everything acknowledged is on the disk',
      });
    case 'EIO':
      return new FailureError({
        kind: 'data-dir',
        what: `cannot ${doing}: the device reports an I/O error`,
        cause: 'The disk or its file system is damaged',
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new FailureError({
        kind: 'data-dir',
        what: `cannot ${doing}: not permitted (${code})`,
        mend: 'Make the folder writable for the user that runs memt, or configure another one',
      });
    default:
      return new FailureError({ kind: 'data-dir', what: `cannot ${doing}: ${asError(error).message}` });
  }
}

/** Damage that is not a torn tail: refused, because going on would drop what follows it. */
export function damage(file: string, offset: number, how: string): FailureError {
  return new FailureError({
    kind: 'data-dir',
    what: `${file} is damaged at offset ${offset}: ${how}`,
    cause: 'The file was changed from outside, or the disk lost data that it had confirmed',
    mend: 'Restore the folder from a copy, or delete it to begin with empty data; nothing in it was changed',
  });
}
