import type { PipelineCatalog, PipelineDefinition } from '../ports/parts.js';
import type { RunRow } from '../records/rows.js';
import { definitionFor } from './expand-options.js';
import { StepFailed } from './step-failed.js';

/** Today's config of a run's pipeline, for its app. */
export const readDefinition = (catalog: PipelineCatalog, run: RunRow): PipelineDefinition => {
  const definition = catalog.get(run.pipeline);
  if (definition !== undefined) return definitionFor(definition, run.app);
  throw new StepFailed({
    code: 'PIPELINE_GONE',
    message: `The config has no pipeline ${run.pipeline} any more`,
    hint: 'Put it back into the config file, or push again under its new name.',
  });
};
