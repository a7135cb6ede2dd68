import type { RunEvent } from '../../model/event.js';

/** Shows what a run tells to one kind of audience. */
export interface Renderer {
  handle(event: RunEvent): void;
  /** Resolves when everything has been shown. */
  end(): Promise<void>;
}

export type Write = (text: string) => void;
