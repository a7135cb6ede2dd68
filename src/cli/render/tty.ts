import { Listr, type ListrTaskWrapper, type DefaultRenderer, type SimpleRenderer } from 'listr2';
import type { RunEvent } from '../../model/event.js';
import { plainRenderer } from './plain.js';
import type { Renderer, Write } from './renderer.js';
import { stepLine, type Paint } from './text.js';

type Task = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

interface Row {
  readonly unit: string;
  readonly done: PromiseWithResolversLike;
  task: Task | undefined;
}
interface PromiseWithResolversLike {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

/** For a terminal: a row per unit that moves while it is worked on; everything after the rows is plain. */
export function ttyRenderer(out: Write, err: Write, colors: Paint, units: readonly string[]): Renderer {
  const plain = plainRenderer(out, err, colors, 'up');
  const rows = units.map((unit): Row => ({ unit, done: withResolvers(), task: undefined }));
  let listing: Promise<unknown> | undefined;
  let tail = Promise.resolve();

  const rowOf = (unit: string): Row | undefined => rows.find((row) => row.unit === unit);
  const start = (): void => {
    listing ??= new Listr(
      rows.map((row) => ({
        title: row.unit,
        task: (_context: unknown, task: Task) => {
          row.task = task;
          return row.done.promise;
        },
      })),
      {
        concurrent: true,
        exitOnError: false,
        registerSignalListeners: false,
        rendererOptions: { collapseErrors: false, showErrorMessage: false },
      },
    ).run();
  };
  /** Freezes the rows that are still moving, so that plain lines can follow. */
  const finishRows = (event: RunEvent): void => {
    if (!listing) return;
    const failedUnit = event.type === 'failed' ? event.failure.unit : undefined;
    for (const row of rows) row.done.reject(new Error(row.unit === failedUnit ? 'failed' : 'not done'));
  };
  const after = (event: RunEvent): void => {
    const rowsShown = listing ?? Promise.resolve();
    tail = tail.then(() => rowsShown).then(() => plain.handle(event));
  };

  return {
    handle(event) {
      switch (event.type) {
        case 'step-start':
          start();
          return;
        case 'step-progress': {
          const task = rowOf(event.unit)?.task;
          if (task) task.output = event.text;
          return;
        }
        case 'step-done': {
          const row = rowOf(event.unit);
          if (!row) return after(event);
          if (row.task) row.task.title = stepLine(event);
          row.done.resolve();
          return;
        }
        case 'step-failed':
          rowOf(event.unit)?.done.reject(new Error('failed'));
          return;
        case 'header':
        case 'plan':
          return plain.handle(event);
        case 'note':
        case 'warning':
          return listing ? after(event) : plain.handle(event);
        case 'rollback':
        case 'failed':
        case 'done':
          finishRows(event);
          return after(event);
      }
    },
    end: () => tail,
  };
}

function withResolvers(): PromiseWithResolversLike {
  let resolve: () => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
