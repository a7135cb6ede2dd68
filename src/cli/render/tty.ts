import { Listr, type ListrTaskWrapper, type DefaultRenderer, type SimpleRenderer } from 'listr2';
import type { RunEvent } from '../../model/event.js';
import { unreachable } from '../../util/unreachable.js';
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
export function ttyRenderer(out: Write, err: Write, colors: Paint): Renderer {
  const plain = plainRenderer(out, err, colors, 'up');
  let rows: readonly Row[] = [];
  let listing: Promise<unknown> | undefined;
  let tail = Promise.resolve();

  const rowOf = (unit: string): Row | undefined => rows.find((row) => row.unit === unit);
  const show = (units: readonly string[]): void => {
    rows = units.map((unit): Row => ({ unit, done: withResolvers(), task: undefined }));
    listing = new Listr(
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
  /** Plain lines come after the rows have come to rest. */
  const after = (event: RunEvent): void => {
    const rest = listing ?? Promise.resolve();
    tail = tail.then(() => rest).then(() => plain.handle(event));
  };

  return {
    handle(event) {
      switch (event.type) {
        case 'plan':
          show(event.units);
          break;
        case 'step-start':
          break;
        case 'step-progress': {
          const task = rowOf(event.unit)?.task;
          if (task) task.output = event.text;
          break;
        }
        case 'step-done': {
          const row = rowOf(event.unit);
          if (row?.task) row.task.title = stepLine(event);
          row?.done.resolve();
          break;
        }
        case 'step-failed':
          rowOf(event.unit)?.done.reject(new Error('failed'));
          break;
        case 'header':
        case 'note':
        case 'warning':
          if (listing) after(event);
          else plain.handle(event);
          break;
        case 'rollback':
        case 'failed':
        case 'done':
          for (const row of rows) row.done.reject(new Error('not done'));
          after(event);
          break;
        default:
          unreachable(event);
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
