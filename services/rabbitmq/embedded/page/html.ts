import { PRODUCT, VERSION, type Identity } from '../server/identity.js';
import type { ConnectionReport, QueueReport } from './report.js';

export interface PageData {
  readonly identity: Identity;
  readonly queues: readonly QueueReport[];
  readonly connections: readonly ConnectionReport[];
  readonly published: number;
  readonly delivered: number;
  /** Set when nothing durable is accepted any more. */
  readonly trouble: string | null;
}

const STYLE = `:root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}th,td{text-align:left;padding:.3rem .7rem;border-bottom:1px solid #8884}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}h1{font-size:1.3rem}h2{font-size:1.05rem}small{opacity:.7}.bad{color:#c22}`;

/** The whole page; it loads nothing and asks for itself again every two seconds. */
export function renderPage(data: PageData): string {
  const { identity, queues, connections } = data;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>${escape(identity.project)} - queues</title><style>${STYLE}</style></head>
<body><h1>${escape(identity.project)} <small>${PRODUCT}, compatible with ${VERSION}; for development and tests</small></h1>
${data.trouble === null ? '' : `<p class="bad">Read-only: ${escape(data.trouble)}</p>`}
<p>${data.published}/s published, ${data.delivered}/s delivered</p>
<h2>Queues (${queues.length})</h2>
${table(
  ['Virtual host', 'Name', 'Type', '#Ready', '#Unacked', '#Consumers', '#In/s', '#Out/s', '#Ack/s'],
  queues.map(({ message_stats: stats, ...queue }) => [
    queue.vhost,
    queue.name,
    queue.type,
    queue.messages_ready,
    queue.messages_unacknowledged,
    queue.consumers,
    stats.publish_details.rate,
    stats.deliver_get_details.rate,
    stats.ack_details.rate,
  ]),
)}
<h2>Connections (${connections.length})</h2>
${table(
  ['Peer', 'Client', 'User', 'Virtual host', 'State', '#Channels'],
  connections.map((one) => [one.name, one.client, one.user, one.vhost, one.state, one.channels]),
)}
</body></html>
`;
}

/** A heading that begins with `#` is a column of numbers. */
function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cell = (tag: 'th' | 'td', column: number, value: string | number): string =>
    `<${tag}${headings[column]?.startsWith('#') ? ' class="n"' : ''}>${escape(String(value))}</${tag}>`;
  const row = (tag: 'th' | 'td', values: readonly (string | number)[]): string =>
    `<tr>${values.map((value, column) => cell(tag, column, value)).join('')}</tr>`;
  if (rows.length === 0) return '<p><small>none</small></p>';
  return `<table>${row(
    'th',
    headings.map((heading) => heading.replace('#', '')),
  ).replaceAll('<th>', '<th scope="col">')}${rows.map((values) => row('td', values)).join('')}</table>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
