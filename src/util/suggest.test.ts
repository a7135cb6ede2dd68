import { describe, expect, it } from 'vitest';
import { suggest } from './suggest.js';

const KEYS = [
  'port',
  'host',
  'workers',
  'timeout',
  'gracefulTimeout',
  'app',
  'mongodb',
  'rabbitmq',
  'production',
  'development',
];

describe('suggest', () => {
  it.each([
    ['prot', 'port'],
    ['prto', 'port'],
    ['Port', 'port'],
    ['ports', 'port'],
    ['worker', 'workers'],
    ['wrokers', 'workers'],
    ['graceful_timeout', 'gracefulTimeout'],
    ['mongo', 'mongodb'],
    ['rabitmq', 'rabbitmq'],
    ['prod', 'production'],
    ['developement', 'development'],
    ['aap', 'app'],
    ['quite-another-thing', undefined],
    ['x', undefined],
    ['', undefined],
  ])('%s -> %s', (word, expected) => {
    expect(suggest(word, KEYS)).toBe(expected);
  });
});
