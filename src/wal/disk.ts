import { fdatasync, writev, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Disk } from './wal.js';

const sync = promisify(fdatasync);

/** The real disk. */
export const nodeDisk: Disk = {
  writevSync: (fd, buffers, position) => writevSync(fd, buffers, position),
  writev: (fd, buffers, position) =>
    new Promise((resolve, reject) => {
      writev(fd, buffers, position, (error, written) => (error ? reject(error) : resolve(written)));
    }),
  fdatasync: (fd) => sync(fd),
};
