import { accessSync, constants } from 'node:fs';
import { emptyAnswer } from '../logs/empty-answer.js';
import type { Filter } from '../logs/filter.js';
import { follow, snapshotOf } from '../logs/follow.js';
import { formatRecord, jsonRecord, localTime } from '../logs/format.js';
import { lineOutput, type LineOutput } from '../logs/line-output.js';
import { mergeByTime } from '../logs/merge.js';
import { parseGrep, parseLevels, parseLines, parseMoment } from '../logs/query.js';
import { readBackward, readForward, type Snapshot } from '../logs/read.js';
import { lastRecords } from '../logs/recent.js';
import { findSources, isSelected, type LogSource } from '../logs/source.js';
import { columnWidth } from '../logs/stream.js';
import { EXIT, type ExitCode } from '../model/exit.js';
import { FailureError } from '../model/failure.js';
import type { LogRecord } from '../model/record.js';
import type { Result } from '../model/result.js';
import { UNIT_KINDS } from '../model/unit.js';
import { readStackFile } from '../run/stack-file.js';
import type { Layout } from '../util/layout.js';
import { codeOf } from '../util/errors.js';
import { suggest } from '../util/suggest.js';
import { findProject } from './globals.js';
import type { LogsOptions } from './logs.js';
import { wantsColor } from './render/text.js';

/** Lines shown when neither `--lines` nor a time says how many. */
const DEFAULT_LINES = 200;
const DEFAULT_FOLLOW_LINES = 50;

interface Query {
  readonly filter: Filter;
  /** How the wanted levels are called: `error`, `error or fatal`, empty for all. */
  readonly label: string;
  readonly lines: number;
}

/** Shows the project's logs; gives the exit code. @throws FailureError usage or config-missing */
export async function logs(names: readonly string[], options: LogsOptions): Promise<ExitCode> {
  const now = Date.now();
  const query = queryOf(options, now);
  const { layout } = findProject(options);
  const all = findSources(layout.logDir);
  refuseUnknown(names, knownNames(layout, all));
  const sources = all.filter((source) => isSelected(source, names));
  for (const path of unreadable([layout.logDir, ...sources.flatMap((source) => source.files)]))
    say(`cannot read ${path}: it belongs to another user`);
  if (sources.length === 0 && !options.follow) {
    say(
      `no logs yet${names.length === 0 ? '' : ` of ${names.join(', ')}`} in ${layout.root}: memt up starts the stack`,
    );
    return EXIT.ok;
  }
  const from = snapshotOf(sources);
  const output = lineOutput(process.stdout);
  const render = renderer(options, sources, now);
  const shown = await show(selectRecords(sources, query, from), render, output);
  if (shown === 0)
    say(sources.length === 0 ? `no logs yet in ${layout.root}` : emptyAnswer(sources, query.filter, query.label, now));
  return options.follow ? followOn(layout, names, query, from, render, output) : EXIT.ok;
}

function queryOf(options: LogsOptions, now: number): Query {
  const level = options.level === undefined ? undefined : take(parseLevels(options.level));
  const since = options.since === undefined ? undefined : take(parseMoment(options.since, '--since', now));
  const until = options.until === undefined ? undefined : take(parseMoment(options.until, '--until', now));
  if (since !== undefined && until !== undefined && since > until) {
    throw new FailureError({
      kind: 'usage',
      what: `--since ${options.since ?? ''} is later than --until ${options.until ?? ''}`,
      mend: 'Swap them, or leave one out',
    });
  }
  const usual = options.follow ? DEFAULT_FOLLOW_LINES : DEFAULT_LINES;
  return {
    filter: {
      levels: level?.levels ?? new Set(),
      since,
      until,
      grep: options.grep === undefined ? undefined : parseGrep(options.grep),
    },
    label: level?.label ?? '',
    lines: options.lines === undefined ? (since === undefined ? usual : Infinity) : take(parseLines(options.lines)),
  };
}

function take<T>(result: Result<T>): T {
  if (!result.ok) throw new FailureError(result.failure);
  return result.value;
}

function knownNames(layout: Layout, sources: readonly LogSource[]): string[] {
  const stack = readStackFile(layout)?.units ?? [];
  const names = [
    ...sources.flatMap(({ unit, instance }) => [unit, instance]),
    ...stack.flatMap(({ name, instances }) => [name, ...instances]),
  ];
  return [...new Set([...names, ...UNIT_KINDS, 'keeper'])];
}

function refuseUnknown(names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const near = suggest(unknown, known);
  throw new FailureError({
    kind: 'usage',
    what: `there is no unit "${unknown}"`,
    mend: `${near === undefined ? '' : `Did you mean ${near}? `}Known are ${known.toSorted().join(', ')}`,
  });
}

function unreadable(paths: readonly string[]): string[] {
  return paths.filter((path) => {
    try {
      accessSync(path, constants.R_OK);
      return false;
    } catch (error) {
      return codeOf(error) === 'EACCES';
    }
  });
}

function* selectRecords(sources: readonly LogSource[], { filter, lines }: Query, from: Snapshot): Generator<LogRecord> {
  if (lines === Infinity) {
    yield* mergeByTime(
      sources.map((source) => readForward(source, filter, from)),
      'oldest-first',
    );
  } else {
    const newestFirst = mergeByTime(
      sources.map((source) => readBackward(source, filter, from)),
      'newest-first',
    );
    yield* lastRecords(newestFirst, lines);
  }
}

type Render = (record: LogRecord) => string;

/** The date is shown when the first record is of another day. */
function renderer(options: LogsOptions, sources: readonly LogSource[], now: number): Render {
  if (options.json) return jsonRecord;
  const color = wantsColor(process.stdout, process.env, options.color);
  const width = columnWidth(sources.map((source) => source.instance));
  const today = localTime(new Date(now).toISOString(), true).slice(0, 10);
  let dates: boolean | undefined;
  return (record) => {
    dates ??= !localTime(record.time, true).startsWith(today);
    return formatRecord(record, { color, dates, width });
  };
}

async function show(records: Iterable<LogRecord>, render: Render, output: LineOutput): Promise<number> {
  let shown = 0;
  for (const record of records) {
    shown += 1;
    const full = output.line(render(record));
    if (full && !(await full)) break;
  }
  await output.flush();
  return shown;
}

/** Until Ctrl-C (130), SIGTERM (143), or until nobody reads any more (0). */
async function followOn(
  layout: Layout,
  names: readonly string[],
  { filter }: Query,
  from: Snapshot,
  render: Render,
  output: LineOutput,
): Promise<ExitCode> {
  const stop = new AbortController();
  let code: ExitCode = EXIT.ok;
  const end = (exit: ExitCode) => (): void => {
    code = exit;
    stop.abort();
  };
  process.once('SIGINT', end(EXIT.interrupted));
  process.once('SIGTERM', end(EXIT.terminated));
  process.once('SIGHUP', end(EXIT.terminated));
  process.stdout.on('error', end(EXIT.ok));
  for await (const batch of follow({ logDir: layout.logDir, names, filter, signal: stop.signal, from })) {
    for (const record of batch) await output.line(render(record));
    if (!(await output.flush())) break;
  }
  return code;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
