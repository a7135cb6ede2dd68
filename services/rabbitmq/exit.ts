import { describeHolder, holderOf } from '../../src/host/ports.js';
import type { Failure } from '../../src/model/failure.js';
import type { RabbitmqSettings } from '../../src/model/settings.js';
import type { EngineContext, EngineExit } from '../../src/ports/engine.js';
import { explainEmbeddedExit } from '../embedded-exit.js';

const EVIDENCE_LINES = 5;

interface Explanation {
  readonly kind: Failure['kind'];
  readonly what: string;
  readonly cause?: string;
  readonly mend?: string;
}

interface Rule {
  readonly pattern: RegExp;
  explain(match: RegExpExecArray, context: EngineContext<RabbitmqSettings>): Explanation;
}

/** What RabbitMQ and Erlang print before they give up, the most telling first. */
const RULES: readonly Rule[] = [
  {
    pattern: /erl: (?:command )?not found|exec: erl|no such file or directory.*\berl\b/i,
    explain: () => ({
      kind: 'engine-missing',
      what: 'RabbitMQ cannot start: Erlang is missing (no erl in PATH)',
      mend: 'Install Erlang (Debian: apt-get install erlang-base), or use another engine: rabbitmq.engine = "embedded"',
    }),
  },
  {
    pattern: /distribution port (\d+) in use/i,
    explain: (match) => taken(Number(match[1]), 'RabbitMQ needs it for its own tools'),
  },
  {
    pattern: /eaddrinuse|address already in use/i,
    explain: (_match, { settings }) => {
      const ports = [settings.port, ...(settings.managementPort === null ? [] : [settings.managementPort])];
      return taken(
        ports.find((port) => holderOf(port, settings.host) !== null) ?? settings.port,
        undefined,
        settings.host,
      );
    },
  },
  {
    pattern: /node with name "?([\w@.-]+)"? (?:is )?already running|duplicate_name/i,
    explain: () => ({
      kind: 'engine-exited',
      what: 'RabbitMQ ended at its start: a broker with the same node name runs already',
      cause: 'An earlier broker of this project is still there',
      mend: 'memt down, then memt up',
    }),
  },
  {
    pattern: /cookie file .* must be accessible by owner only|too short cookie|invalid challenge reply|bad cookie/i,
    explain: (_match, { settings }) => ({
      kind: 'engine-exited',
      what: 'RabbitMQ ended at its start: Erlang does not accept its cookie',
      mend: `rm -f ${settings.dataDir}/home/.erlang.cookie (memt makes a new one), then memt up`,
    }),
  },
  {
    pattern: /enospc|no space left on device/i,
    explain: (_match, { settings }) => ({
      kind: 'disk-full',
      what: `RabbitMQ ended: the disk with ${settings.dataDir} is full`,
      mend: 'Free some space, then memt up',
    }),
  },
  {
    pattern: /\beacces\b|permission denied/i,
    explain: (_match, { settings }) => ({
      kind: 'data-dir',
      what: `RabbitMQ ended: it may not read or write some of its files below ${settings.dataDir}`,
      cause: 'They belong to another user, for example because memt once ran as root',
      mend: `sudo chown -R ${process.geteuid?.() ?? '$(id -u)'} ${settings.dataDir}, then memt up`,
    }),
  },
  {
    pattern:
      /incompatible_feature_flags|feature flags? .*(?:unsupported|not supported|incompatible)|unsupported.*feature flag/i,
    explain: (_match, { settings }) => ({
      kind: 'engine-exited',
      what: `RabbitMQ ended: the data in ${settings.dataDir} were written by another version`,
      mend: 'Use that version again, or set rabbitmq.dataDir to a new folder (its queues start empty)',
    }),
  },
  {
    pattern:
      /(?:error|failed).*(?:prepar|parsing|load).*config|failed_to_prepare_configuration|unknown configuration|conf_file|cuttlefish/i,
    explain: () => ({
      kind: 'engine-exited',
      what: 'RabbitMQ ended: it does not accept its configuration',
      cause: 'This version of RabbitMQ may lack a setting that memt writes',
      mend: 'See .memt/logs/rabbitmq.log; RabbitMQ 3.10 to 4 are supported',
    }),
  },
  {
    pattern:
      /bad_header|not_a_log_file|schema_integrity_check_failed|inconsistent_database|failed_waiting_for_tables|timeout_waiting_for_tables|corrupt/i,
    explain: (_match, { settings }) => ({
      kind: 'data-dir',
      what: `RabbitMQ ended: it cannot read its data in ${settings.dataDir}`,
      cause: 'The files were damaged, most often by a full disk or a machine that lost power',
      mend: `Move them away (mv ${settings.dataDir} ${settings.dataDir}.damaged) and start with empty queues: memt up`,
    }),
  },
  {
    pattern: /cannot allocate|erts_mmap|enomem|out of memory/i,
    explain: () => ({
      kind: 'engine-exited',
      what: 'RabbitMQ ended: no memory left',
      mend: 'Free some memory, then memt up',
    }),
  },
];

/** Why the broker ended, from what it printed, else from the way it ended. */
export function explainRabbitmqExit(exit: EngineExit, context: EngineContext<RabbitmqSettings>): Failure {
  const embedded = explainEmbeddedExit('rabbitmq', exit);
  if (embedded) return embedded;
  const lines = [...exit.logTail, ...exit.output];
  const evidence = errorLines(exit);
  const found = byPattern(lines, context) ?? byEnd(exit);
  return { unit: 'rabbitmq', ...found, ...(evidence.length > 0 ? { evidence } : {}) };
}

function byPattern(lines: readonly string[], context: EngineContext<RabbitmqSettings>): Explanation | undefined {
  for (const rule of RULES) {
    for (const line of lines) {
      const match = rule.pattern.exec(line);
      if (match) return rule.explain(match, context);
    }
  }
  return undefined;
}

function byEnd({ code, signal }: EngineExit): Explanation {
  if (signal === 'SIGKILL') {
    return {
      kind: 'engine-exited',
      what: 'RabbitMQ was killed (SIGKILL)',
      cause: 'Somebody killed it, or the kernel did because memory ran out (dmesg | grep -i oom tells)',
      mend: 'memt up',
    };
  }
  if (code === 127) {
    return {
      kind: 'engine-missing',
      what: 'RabbitMQ cannot start: a program that it needs is missing (exit code 127)',
      mend: 'Reinstall rabbitmq-server and Erlang',
    };
  }
  const how = signal === null ? `with exit code ${code ?? '?'}` : `by ${signal}`;
  return {
    kind: 'engine-exited',
    what: `RabbitMQ ended ${how}`,
    mend: 'See .memt/logs/rabbitmq.log and .memt/logs/rabbitmq.out',
  };
}

function taken(port: number, cause?: string, host = '127.0.0.1'): Explanation {
  const holder = holderOf(port, host);
  return {
    kind: 'port-taken',
    what: holder
      ? `${host}:${port} is held by ${describeHolder(holder)}`
      : `${host}:${port} was taken when RabbitMQ started`,
    ...(cause === undefined ? {} : { cause }),
    mend: `Stop it, or set another port: memt up --rabbitmq-port ${port + 1}`,
  };
}

/** The last error lines of its log, else the last of its output. */
function errorLines({ logTail, output }: EngineExit): string[] {
  const errors = logTail.filter(
    (line) => /\[(?:error|critical|alert|emergency)\]/.test(line) && !/\[\w+\] <[\d.]+>\s*$/.test(line),
  );
  return (errors.length > 0 ? errors : output.filter((line) => line.trim() !== '')).slice(-EVIDENCE_LINES);
}
