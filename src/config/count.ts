import type { CpuCount } from '../model/settings.js';

/** A parsed count: `factor * N + add`, or a plain number (factor 0). */
export interface CountFormula {
  readonly factor: number;
  readonly add: number;
}

/** `9`, `'2N+1'`, `'N'`, `'N-1'`, `'cpus'`, `'auto'` or `'max'` (the last three mean N); undefined for anything else. */
export function parseCount(value: string | number): CountFormula | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? { factor: 0, add: value } : undefined;
  const text = value.trim().toLowerCase().replaceAll(' ', '');
  if (/^\d+$/.test(text)) return { factor: 0, add: Number(text) };
  const match = /^(\d*)\*?(?:n|cpus|auto|max)([+-]\d+)?$/.exec(text);
  return match ? { factor: match[1] ? Number(match[1]) : 1, add: Number(match[2] ?? 0) } : undefined;
}

/** The number of processes and its arithmetic for display: 5 and `2*2+1 = 5`; at least 1, CPUs' fraction is used before rounding down. */
export function evaluateCount(
  formula: CountFormula,
  cpus: CpuCount,
  origin: string,
): { readonly count: number; readonly reason: string } {
  if (formula.factor === 0) return { count: formula.add, reason: `${origin} = ${formula.add}` };
  const count = Math.max(1, Math.floor(formula.factor * cpus.cpus) + formula.add);
  const shown = Number(cpus.cpus.toFixed(2));
  const product = formula.factor === 1 ? String(shown) : `${formula.factor}*${shown}`;
  const floored = Number.isInteger(formula.factor * cpus.cpus) ? product : `floor(${product})`;
  const sum = formula.add === 0 ? floored : `${floored}${formula.add > 0 ? '+' : '-'}${Math.abs(formula.add)}`;
  return { count, reason: `${sum} = ${count}` };
}
