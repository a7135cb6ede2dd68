// Writes the table of settings in docs/config.md from the settings themselves: `npm run docs` after `npm run build`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs/config.md');
const BEGIN = '<!-- settings: written by scripts/config-docs.js -->';
const END = '<!-- end of settings -->';

/**
 * The page with the table of now.
 *
 * @param {string} text
 * @param {typeof import('../src/config/settings-table.js')} table
 */
export function withSettings(text, table) {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`docs/config.md has lost its marks ${BEGIN} and ${END}`);
  return `${text.slice(0, from)}${BEGIN}\n\n${settingsMarkdown(table)}\n\n${text.slice(to)}`;
}

/** @param {typeof import('../src/config/settings-table.js')} table */
function settingsMarkdown({ SETTINGS, variableOf }) {
  const rows = SETTINGS.map((setting) => {
    const { key, type, flag, env = [], describe, required } = setting;
    const variables = [variableOf(key), ...env].map(code).join(' ');
    const bounds = boundsOf(setting);
    const value = setting.default === null ? (required ? 'required' : '–') : code(String(setting.default));
    return [
      code(key),
      bounds === '' ? type : `${type}, ${bounds}`,
      value,
      flag === undefined ? '' : code(flag),
      variables,
      describe,
    ];
  });
  return [
    ['Key', 'Type', 'Default', 'Flag of `up`', 'Variables', 'Meaning'],
    ['---', '---', '---', '---', '---', '---'],
    ...rows,
  ]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

/** @param {import('../src/config/settings-table.js').Setting} setting */
function boundsOf({ min, max, values, schemes }) {
  if (values !== undefined) return values.map(code).join(', ');
  if (schemes !== undefined) return schemes.map((scheme) => code(`${scheme}//`)).join(', ');
  if (min !== undefined && max !== undefined) return `${min} to ${max}`;
  return min === undefined ? '' : `from ${min}`;
}

/** @param {string} text */
function code(text) {
  return `\`${text}\``;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const table = await import('../dist/src/config/settings-table.js');
  writeFileSync(page, withSettings(readFileSync(page, 'utf8'), table));
}
