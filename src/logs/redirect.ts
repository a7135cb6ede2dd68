import { closeSync, constants, copyFileSync, fchmodSync, fstatSync, ftruncateSync, openSync, statSync } from 'node:fs';
import { shiftRotated } from './writer.js';

/**
 * Points this process's descriptor 1 or 2 at a file (append, 0600). What writes past the streams (a logger on fd 1, Node's or V8's last
 * words) is kept, and nothing depends on a pipe whose reader may die: no EPIPE, no SIGPIPE. False when it could not be done.
 * Call it before threads open files: the kernel gives the lowest free number.
 */
export function redirectDescriptor(target: 1 | 2, file: string): boolean {
  let opened: number | undefined;
  try {
    const probe = openSync(file, 'a', 0o600);
    closeSync(probe);
    closeSync(target);
    opened = openSync(file, 'a', 0o600);
    if (opened === target) {
      fchmodSync(target, 0o600); // PM2 made it readable for all
      return true;
    }
    closeSync(opened);
    return false;
  } catch {
    return false; // the folder is read-only or the disk is full: the old descriptor, or none, is what there is
  }
}

/**
 * Rotates a file that others hold open (as the descriptor of a redirected stream) by copying and emptying it.
 * Returns true when it did. `maxBytes` in bytes.
 */
export function rotateOpenFile(fd: number, file: string, maxBytes: number, keep: number): boolean {
  try {
    const open = fstatSync(fd);
    if (open.size < maxBytes || open.ino !== statSync(file).ino) return false;
    shiftRotated(file, keep);
    copyFileSync(file, `${file}.1`, constants.COPYFILE_FICLONE);
    ftruncateSync(fd, 0);
    return true;
  } catch {
    return false;
  }
}
