import { describe, expect, it } from 'vitest';
import { isSecretName, redactUri } from './redact.js';

describe('redactUri', () => {
  it.each([
    ['mongodb://ana:geheim@h/db', 'mongodb://ana:***@h/db'],
    ['amqps://u:p%40x@h:5671/%2F', 'amqps://u:***@h:5671/%2F'],
    ['mongodb+srv://u:p@c.example.net', 'mongodb+srv://u:***@c.example.net'],
    ['mongodb://u:p@a:1,b:2/db?replicaSet=r', 'mongodb://u:***@a:1,b:2/db?replicaSet=r'],
    ['amqp://u:p@ss@h/', 'amqp://u:***@h/'],
    ['amqp://u:p/ss@h/', 'amqp://u:***@h/'],
    ['redis://:geheim@h', 'redis://:***@h'],
    ['cannot reach amqp://u:geheim@h/ or mongodb://x:geheim@y', 'cannot reach amqp://u:***@h/ or mongodb://x:***@y'],
    ['https://h/x?api_key=geheim&b=1', 'https://h/x?api_key=***&b=1'],
    ['http://localhost:5000/a@b', 'http://localhost:5000/a@b'],
    ['mongodb://127.0.0.1:27017/db', 'mongodb://127.0.0.1:27017/db'],
    ['no URI: a:b@c', 'no URI: a:b@c'],
  ])('%s', (text, expected) => {
    expect(redactUri(text)).toBe(expected);
  });
});

it.each([
  ['DB_PASSWORD', true],
  ['AUTH_TOKEN', true],
  ['SECRET_KEY', true],
  ['apiKey', true],
  ['SENTRY_DSN', true],
  ['PATH', false],
  ['PORT', false],
  ['KEYBOARD', false],
])('%s is secret: %s', (name, secret) => {
  expect(isSecretName(name)).toBe(secret);
});
