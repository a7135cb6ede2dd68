import type { Settings } from '../../model/settings.js';
import type { Step, UpPlan } from '../../plan/step.js';

const VERB: Readonly<Record<Step['action'], string>> = {
  start: 'start',
  restart: 'restart',
  keep: 'keep',
  use: 'use',
  fail: 'CANNOT',
};

/** The plan for people: what, where, why, in the order in which it would be carried out. */
export function planLines(settings: Settings, plan: UpPlan): string[] {
  return [
    `memt up --dry-run   environment ${settings.environment}; nothing is changed`,
    ...plan.steps.map((step) => {
      const what =
        step.engine === null
          ? `${step.instances.length} ${step.instances.length === 1 ? 'process' : 'processes'}`
          : step.engine;
      const needs = step.dependsOn.length > 0 ? `   after ${step.dependsOn.join(', ')}` : '';
      return `${VERB[step.action].padEnd(8)} ${step.unit.padEnd(10)} ${what.padEnd(12)} ${(step.address ?? '').padEnd(17)} ${step.reason}${needs}`.trimEnd();
    }),
    ...plan.steps.flatMap((step) => (step.failure?.mend ? [`${step.unit}: ${step.failure.mend}`] : [])),
  ];
}

export function planJson(settings: Settings, plan: UpPlan): object {
  return { schema: 1, project: settings.project, environment: settings.environment, steps: plan.steps };
}
