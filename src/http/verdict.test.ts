import { describe, expect, it } from 'vitest';
import type { Failure, FailureKind } from '../model/failure.js';
import { backoffMs } from './backoff.js';
import { judgeStart, type SlotHistory } from './verdict.js';

const failure = (kind: FailureKind): Failure => ({ kind, what: kind });
const starting: SlotHistory = { healthy: false, everHealthy: false, crashes: 0, failure: null };
const healthy: SlotHistory = { healthy: true, everHealthy: true, crashes: 0, failure: null };
const died = (kind: FailureKind, crashes = 1, everHealthy = false): SlotHistory => ({
  healthy: false,
  everHealthy,
  crashes,
  failure: failure(kind),
});

describe('judgeStart', () => {
  const table: readonly (readonly [string, readonly SlotHistory[], string])[] = [
    ['a missing entry ends it, whatever the others do', [died('entry-missing'), starting], 'give-up entry-missing'],
    ['a taken port, too', [healthy, died('port-taken')], 'give-up port-taken'],
    ['one that throws waits for the others', [died('entry-throws'), starting], 'wait'],
    ['all that throw end it', [died('entry-throws'), died('entry-throws')], 'give-up entry-throws'],
    ['one that throws while another works is replaced', [died('entry-throws'), healthy], 'replace'],
    ['a death after healthy is replaced', [died('unit-exited', 1, true)], 'replace'],
    ['and the second one', [died('unit-exited', 2, true)], 'replace'],
    ['the third ends it', [died('unit-exited', 3, true), healthy], 'give-up unit-exited'],
    [
      'one that is over its crash does not count',
      [{ ...healthy, failure: failure('entry-throws') }, died('unit-exited')],
      'replace',
    ],
  ];
  it.each(table)('%s', (_name, slots, expected) => {
    const verdict = judgeStart(slots);
    expect(verdict.kind === 'give-up' ? `give-up ${verdict.failure.kind}` : verdict.kind).toBe(expected);
  });
});

it.each([
  [0, 0],
  [1, 0],
  [2, 250],
  [3, 500],
  [4, 1000],
  [8, 15_000],
  [1000, 15_000],
])('after %i deaths in a row the next try waits %i ms', (crashes, ms) => {
  expect(backoffMs(crashes)).toBe(ms);
});
