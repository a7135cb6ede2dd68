import { describe, expect, it } from 'vitest';
import { parseEnv, readEnvFile } from './env-file.js';

describe('parseEnv', () => {
  it.each<[string, string, Record<string, string>]>([
    ['plain', 'A=1\nB=two words', { A: '1', B: 'two words' }],
    ['blanks around', '  A = 1  ', { A: '1' }],
    ['export', 'export A=1', { A: '1' }],
    ['comments', '# x\nA=1 # y\nB=a#b\nC=#z', { A: '1', B: 'a#b', C: '' }],
    ['empty', 'A=\nB=""', { A: '', B: '' }],
    ['single quotes are literal', "A='a\\n#$B'", { A: 'a\\n#$B' }],
    ['double quotes know escapes', 'A="a\\nb\\t\\"c\\" \\\\ \\$ \\x" # y', { A: 'a\nb\t"c" \\ $ \\x' }],
    ['back quotes hold both others', 'A=`it\'s "so"`', { A: 'it\'s "so"' }],
    ['many lines in quotes', 'KEY="-----BEGIN\nabc\n-----END"\nB=1', { KEY: '-----BEGIN\nabc\n-----END', B: '1' }],
    ['nothing is expanded', 'A=$HOME/${B}`id`', { A: '$HOME/${B}`id`' }],
    ['equals signs', 'URL=postgres://a:b@c/d?x=1&y==', { URL: 'postgres://a:b@c/d?x=1&y==' }],
    ['CRLF and a BOM', '\uFEFFA=1\r\nB="2"\r\n', { A: '1', B: '2' }],
    ['the last wins', 'A=1\nA=2', { A: '2' }],
    ['nothing', '', {}],
  ])('%s', (_title, text, variables) => {
    expect(parseEnv(text)).toEqual({ variables, problems: [] });
  });

  it.each([
    ['no equals sign', 'A=1\nsecret', '.env:2: expected NAME=value'],
    ['a bad name', '1A=secret', '.env:1: expected NAME=value'],
    ['an open quote', 'B=1\nA="secret\nC=2', '.env:2: A: the " is never closed'],
    ['text behind a quote', 'A="secret" b', '.env:1: A: text after the closing "'],
  ])('%s is a problem that shows no value', (_title, text, problem) => {
    const { problems } = parseEnv(text);
    expect(problems).toEqual([problem]);
    expect(problems.join()).not.toContain('secret');
  });
});

describe('readEnvFile', () => {
  it.each([
    ['missing', '/nowhere/.env'],
    ['a folder, as virtualenv makes', '/tmp'],
  ])('%s is empty', (_title, file) => {
    expect(readEnvFile(file)).toEqual({ variables: {}, problems: [] });
  });
});
