import type { Failure } from '../src/model/failure.js';
import type { LogRecord } from '../src/model/record.js';
import type { EngineExit } from '../src/ports/engine.js';
import { atLeast } from '../src/model/level.js';

const EVIDENCE_LINES = 5;

/** Why an embedded engine ended: it says so itself in its NDJSON log. null when the log is not of an embedded engine. */
export function explainEmbeddedExit(unit: string, exit: EngineExit): Failure | null {
  const records = exit.logTail.flatMap(parseRecord);
  if (records.length === 0) return null;
  const errors = records.filter(({ level }) => atLeast(level, 'error'));
  const last = errors.at(-1);
  const how = exit.signal === null ? `with exit code ${exit.code ?? '?'}` : `by ${exit.signal}`;
  const mend = last?.fields?.['mend'];
  const evidence = errors.slice(-EVIDENCE_LINES).map(({ text }) => text);
  return {
    kind: 'engine-exited',
    unit,
    what: last && exit.signal === null ? last.text : `the embedded engine ended ${how}`,
    mend: typeof mend === 'string' ? mend : `memt up; memt logs ${unit} tells more`,
    ...(evidence.length > 0 ? { evidence } : {}),
  };
}

function parseRecord(line: string): LogRecord[] {
  try {
    const record = JSON.parse(line) as Partial<LogRecord>;
    return record.unit !== undefined && record.level !== undefined && record.text !== undefined
      ? [record as LogRecord]
      : [];
  } catch {
    return []; // a real server's log, or a torn line
  }
}
