import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { blockJoiner } from './block-joiner.js';

function joiner(): { readonly blocks: string[]; readonly joiner: ReturnType<typeof blockJoiner> } {
  const blocks: string[] = [];
  return { blocks, joiner: blockJoiner((block) => blocks.push(block)) };
}

describe('raw writes to a stream', () => {
  it('makes one record of one write, lines and all', () => {
    const { blocks, joiner: out } = joiner();
    out.write('a table\n| 1 |\n| 2 |\n');
    expect(blocks).toEqual(['a table\n| 1 |\n| 2 |']);
  });
  it('makes a record of each line that a logger wrote in one batch', () => {
    const { blocks, joiner: out } = joiner();
    out.write('{"level":30,"msg":"a"}\n{"level":50,"msg":"b"}\n[error] c\n  more of c\n2026-01-02T03:04:05Z d\n');
    expect(blocks).toEqual([
      '{"level":30,"msg":"a"}',
      '{"level":50,"msg":"b"}',
      '[error] c\n  more of c',
      '2026-01-02T03:04:05Z d',
    ]);
  });
  it('waits for the end of a line', () => {
    const { blocks, joiner: out } = joiner();
    out.write('one ');
    expect(blocks).toEqual([]);
    out.write('line\nand');
    expect(blocks).toEqual(['one line']);
    out.finish();
    expect(blocks).toEqual(['one line', 'and']);
  });
  it('does not wait for ever for the end of a line', async () => {
    const { blocks, joiner: out } = joiner();
    out.write('password? ');
    await expect.poll(() => blocks, { timeout: 5000, interval: 20 }).toEqual(['password? ']);
  });
  it('joins a trace that is written line by line, and gives it out in the same turn', async () => {
    const { blocks, joiner: out } = joiner();
    out.write('Error: no\n');
    out.write('    at a (/x.js:1:2)\n');
    out.write('    at b (/x.js:1:2)\n');
    expect(blocks).toEqual([]);
    await turn();
    await turn();
    expect(blocks).toEqual(['Error: no\n    at a (/x.js:1:2)\n    at b (/x.js:1:2)']);
  });
  it('keeps the order when a trace is followed by something else', () => {
    const { blocks, joiner: out } = joiner();
    out.write('Error: no\n');
    out.write('    at a (/x.js:1:2)\n');
    out.write('next\n');
    expect(blocks).toEqual(['Error: no\n    at a (/x.js:1:2)', 'next']);
  });
  it('puts split characters together', () => {
    const { blocks, joiner: out } = joiner();
    const bytes = Buffer.from('né€𝄞\n');
    for (const byte of bytes) out.write(Uint8Array.of(byte));
    expect(blocks).toEqual(['né€𝄞']);
  });
  it('reads other encodings', () => {
    const { blocks, joiner: out } = joiner();
    out.write('aGkK', 'base64');
    expect(blocks).toEqual(['hi']);
  });
  it('does not hoard a line without an end', () => {
    const { blocks, joiner: out } = joiner();
    for (let index = 0; index < 100; index += 1) out.write('x'.repeat(10_000));
    expect(blocks.length).toBeGreaterThan(5);
    out.finish();
    expect(blocks.join('').length).toBe(1_000_000);
  });
  it('drops blank writes', () => {
    const { blocks, joiner: out } = joiner();
    for (const blank of ['\n', '  \n', '', '\n\n\n']) out.write(blank);
    out.finish();
    expect(blocks).toEqual([]);
  });
});
