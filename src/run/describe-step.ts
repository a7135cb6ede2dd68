import { dirname } from 'node:path';
import type { Settings } from '../model/settings.js';
import type { Step } from '../plan/step.js';

/**
 * A step that has been carried out, as the text of its line.
 * @param version as the engine reports it; empty when unknown
 * @param pid of the engine's process, null when it is not ours
 */
export function describeStep(step: Step, settings: Settings, version: string, pid: number | null): string {
  switch (step.engine) {
    case 'embedded':
      return step.action === 'start'
        ? `EMBEDDED (${step.reason}), answers as ${version}`
        : `EMBEDDED, ${step.reason}, answers as ${version}`;
    case 'spawned':
      return `${version} ${step.program === null ? step.reason : dirname(step.program)}, pid ${pid ?? '?'}`;
    case 'adopted':
    case 'external':
      return `${version} ${step.engine}: ${step.reason}`;
    case null: {
      const word = step.kind === 'worker' ? 'consuming' : 'answering';
      const wanted = step.kind === 'web' ? (settings.web?.workers ?? 1) : step.instances.length;
      return `${wanted}/${wanted} ${word}`;
    }
  }
}
