// @ts-check
import { spawn } from 'node:child_process';

/** @typedef {{ code: number | null, ms: number, stdout: string, stderr: string }} Run */

/**
 * Runs a command to its end and times the whole process.
 * @param {string} command @param {readonly string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, timeoutMs?: number }} options
 * @returns {Promise<Run>}
 */
export function run(command, args, { cwd, env = process.env, timeoutMs = 120_000 }) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve({ code, ms: performance.now() - started, stdout, stderr });
    });
  });
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? NaN)) / 2;
}

/** @param {readonly number[]} values @param {number} [digits] */
export function spread(values, digits = 0) {
  return `${Math.min(...values).toFixed(digits)}/${median(values).toFixed(digits)}/${Math.max(...values).toFixed(digits)}`;
}

/**
 * Prints one comparison: both rows, the ratio pair by pair, and whether the median keeps the goal.
 * @param {{ name: string, ours: readonly number[], theirs: readonly number[], oursName: string, theirsName: string, goal: { ratio: number } | { above: number } }} row
 * @returns {boolean}
 */
export function compare({ name, ours, theirs, oursName, theirsName, goal }) {
  const pairs = ours.map((value, index) =>
    'ratio' in goal ? value / (theirs[index] ?? NaN) : value - (theirs[index] ?? NaN),
  );
  const limit = 'ratio' in goal ? goal.ratio : goal.above;
  const kept = median(pairs) <= limit;
  const unit = 'ratio' in goal ? 'ratio' : 'ms above';
  console.log(`${name}   (ms, min/median/max of ${ours.length} interleaved pairs)`);
  console.log(`  ${oursName.padEnd(44)} ${spread(ours)}`);
  console.log(`  ${theirsName.padEnd(44)} ${spread(theirs)}`);
  console.log(
    `  ${unit.padEnd(44)} ${spread(pairs, 'ratio' in goal ? 2 : 0)}   goal at most ${limit}: ${kept ? 'kept' : 'MISSED'}\n`,
  );
  return kept;
}

/**
 * Prints one figure that has an absolute goal.
 * @param {{ name: string, values: readonly number[], goal: number, unit: string, digits?: number }} row
 */
export function absolute({ name, values, goal, unit, digits = 0 }) {
  const kept = median(values) <= goal;
  console.log(`${name}   (${unit}, min/median/max of ${values.length})`);
  console.log(`  ${spread(values, digits)}   goal at most ${goal}: ${kept ? 'kept' : 'MISSED'}\n`);
  return kept;
}
