import { Session, type Debugger, type InspectorNotification } from 'node:inspector';
import { lineWriter } from '../logs/writer.js';
import { BLOCKED } from './explain.js';
import { BEAT, DEBUGGED } from './watchdog.js';

export interface WatchOptions {
  readonly shared: SharedArrayBuffer;
  readonly limitMs: number;
  readonly everyMs: number;
  readonly unit: string;
  readonly instance: string;
  readonly logFile: string;
}

/** A native call that never returns cannot be paused: then there is no stack, ms. */
const PAUSE_MS = 1000;
const MAX_FRAMES = 20;

/** Runs in the watching thread: when the main thread's beat stops for longer than the limit, logs its stack and kills the process. */
export function watchMainThread(options: WatchOptions): void {
  const { limitMs, everyMs } = options;
  const cells = new Int32Array(options.shared);
  let beat = Atomics.load(cells, BEAT);
  let changedAt = performance.now();
  let lookedAt = changedAt;
  const timer = setInterval(() => {
    const now = performance.now();
    const current = Atomics.load(cells, BEAT);
    // We were late ourselves: the machine slept, or the process was stopped.
    const slept = now - lookedAt > everyMs + limitMs / 2;
    lookedAt = now;
    if (current !== beat || slept || Atomics.load(cells, DEBUGGED) === 1) {
      beat = current;
      changedAt = now;
    } else if (now - changedAt > limitMs) {
      clearInterval(timer);
      endProcess(options, now - changedAt);
    }
  }, everyMs);
}

function endProcess(options: WatchOptions, blockedMs: number): void {
  const end = (frames: readonly string[]): void => {
    writeRecord(options, blockedMs, frames);
    process.kill(process.pid, 'SIGKILL');
  };
  setTimeout(() => end(['a native call that cannot be interrupted']), PAUSE_MS);
  const session = new Session();
  session.connectToMainThread();
  // A frame names its script by number only; the scripts are announced when the debugger is switched on.
  const urls = new Map<string, string>();
  session.on('Debugger.scriptParsed', ({ params }: InspectorNotification<Debugger.ScriptParsedEventDataType>) => {
    urls.set(params.scriptId, params.url);
  });
  session.on('Debugger.paused', ({ params }: InspectorNotification<Debugger.PausedEventDataType>) => {
    end(params.callFrames.slice(0, MAX_FRAMES).map((frame) => frameText(frame, urls)));
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
}

function frameText(frame: Debugger.CallFrame, urls: ReadonlyMap<string, string>): string {
  const { scriptId, lineNumber, columnNumber = 0 } = frame.location;
  const url = frame.url || (urls.get(scriptId) ?? '?');
  return `${frame.functionName || '<anonymous>'} (${url}:${lineNumber + 1}:${columnNumber + 1})`;
}

function writeRecord(options: WatchOptions, blockedMs: number, frames: readonly string[]): void {
  const { unit, instance, logFile, limitMs } = options;
  const text = `${BLOCKED} for ${seconds(blockedMs)} (limit ${seconds(limitMs)}): killed`;
  const stack = [text, ...frames.map((frame) => `    at ${frame}`)].join('\n');
  lineWriter({ file: logFile }).write(
    JSON.stringify({ time: new Date().toISOString(), level: 'error', unit, instance, pid: process.pid, text, stack }),
  );
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
