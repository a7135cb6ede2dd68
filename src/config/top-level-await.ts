/**
 * Whether the module's source seems to use `await` outside every function. It reads braces instead of parsing, so it is good
 * for a warning only.
 */
export function awaitsAtTop(source: string): boolean {
  const code = blankTexts(source);
  let depth = 0;
  for (const { 0: token } of code.matchAll(/[{}]|(?<![\w$.])await\b(?!\s*[:=,)}])|=>\s*await\b/g)) {
    if (token === '{') depth += 1;
    else if (token === '}') depth -= 1;
    else if (depth === 0 && token === 'await') return true;
  }
  return false;
}

/** Removes comments, strings and templates, which may hold braces and the word itself. */
function blankTexts(source: string): string {
  return source.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g,
    (text) => (text.startsWith('/') ? ' ' : "''"),
  );
}
