import { join } from 'node:path';
import { bootChild } from '../../src/child/boot.js';
import { instanceEntry } from '../../src/http/instance-process.js';
import { livingPrimary } from '../../src/http/predecessors.js';
import { runPrimary } from '../../src/http/primary.js';
import { MEMT_ENV } from '../../src/model/launch.js';

const runDir = process.env[MEMT_ENV.runDir];
const predecessor =
  runDir === undefined ? null : livingPrimary(join(runDir, 'journal'), process.env[MEMT_ENV.instance] ?? 'web');
runPrimary({ child: await bootChild('web'), entry: instanceEntry(import.meta.url), predecessor });
