import type { Api, RunDetail } from '@pipit/runtime';
import { cleanBlock } from './clean-text.js';
import { type Paint, PLAIN } from './paint.js';

interface FailedStep {
  readonly operationId: string;
  readonly stage: string;
  readonly step: string;
}

/** The step that made a run fail: of several, the first one that failed; a rollback's own failure comes after it. */
export const findFailedStep = ({ operations }: RunDetail): FailedStep | undefined => {
  for (const operation of operations) {
    const failed = operation.steps.find((step) => step.state === 'failed');
    if (failed !== undefined) return { operationId: operation.id, stage: operation.stage, step: failed.name };
  }
  return undefined;
};

/** The tail of the failed step's log under a heading; no lines when no step failed. */
export const renderFailureLog = async (api: Pick<Api, 'readLog'>, detail: RunDetail, paint: Paint = PLAIN): Promise<readonly string[]> => {
  const failed = findFailedStep(detail);
  if (failed === undefined) return [];
  const { operationId, stage, step } = failed;
  const log = await api.readLog({ runId: detail.run.id, operationId, step });
  const text = log.operations.flatMap((operation) => operation.pieces.map((piece) => piece.text)).join('');
  if (text.trim() === '') return [];
  const isCut = log.operations.some((operation) => operation.truncated);
  return [
    '',
    paint.bold(`Log of ${stage} ${step}${isCut ? ', its end' : ''}:`),
    ...cleanBlock(text)
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => `  ${line}`.trimEnd()),
  ];
};
