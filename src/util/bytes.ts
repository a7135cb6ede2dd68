const POWER = { '': 0, k: 1, m: 2, g: 3, t: 4 } as const;

/**
 * `16MB` (1000s), `16MiB` (1024s), `16m` (1024s, as nginx and PM2 mean it), `512b`, or a bare number of bytes, as whole bytes.
 * Undefined when it is none of these, negative, or beyond exact integers.
 */
export function parseBytes(value: string | number): number | undefined {
  const bytes = typeof value === 'number' ? value : parseText(value.trim().toLowerCase());
  return bytes !== undefined && Number.isSafeInteger(Math.round(bytes)) && bytes >= 0 ? Math.round(bytes) : undefined;
}

function parseText(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt]?)(ib|b)?)$/.exec(text);
  if (!match) return undefined;
  const [, amount, letter = '', suffix = ''] = match;
  if (letter === '' && suffix === 'ib') return undefined;
  return Number(amount) * (suffix === 'b' ? 1000 : 1024) ** POWER[letter as keyof typeof POWER];
}

/** For people, in 1024s: `43 MB`, `1.2 GB`, `512 B`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KB', 'MB', 'GB', 'TB'];
  let amount = bytes;
  let index = 0;
  while (amount >= 1023.5 && index < names.length - 1) {
    amount /= 1024;
    index += 1;
  }
  return `${index === 0 || amount >= 9.95 ? Math.round(amount) : amount.toFixed(1)} ${names[index] ?? 'B'}`;
}
