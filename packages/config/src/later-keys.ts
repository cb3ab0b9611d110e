import type { ConfigPath } from './config-path.js';
import type { ProblemText } from './config-problem.js';

const RING_KEYS: Readonly<Record<string, string>> = {
  batch: 'rollouts in batches',
  failureBudget: 'rollouts in batches',
  gates: 'gates',
  approval: 'approvals',
};

/** What a key of the design that this pipit does not have yet comes with; undefined for any other key. */
const comesWith = (path: ConfigPath): string | undefined => {
  const key = path.at(-1);
  if (path[0] !== 'pipelines' || typeof key !== 'string') return undefined;
  if (path.length === 5 && path[2] === 'rings' && Object.hasOwn(RING_KEYS, key)) return RING_KEYS[key];
  return undefined;
};

/** A clear word for a key that will mean something later: ignoring it would promise what pipit does not do. */
export const laterKeyProblem = (path: ConfigPath): ProblemText | undefined => {
  const feature = comesWith(path);
  if (feature === undefined) return undefined;
  return {
    code: 'KEY_NOT_YET',
    message: `Key ${JSON.stringify(path.at(-1))} is not known to this version of pipit`,
    hint: `It comes with ${feature}. Take it out until then.`,
  };
};
