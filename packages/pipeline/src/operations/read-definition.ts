import type { PipelineCatalog, PipelineDefinition } from '../ports/parts.js';
import { pipelineOfRun } from '../records/pipeline-of-run.js';
import type { RunRow } from '../records/rows.js';
import { definitionFor } from './expand-options.js';
import { StepFailed } from './step-failed.js';

/** Today's config of a run's pipeline, for its app. */
export const readDefinition = (catalog: PipelineCatalog, run: RunRow): PipelineDefinition => {
  const definition = pipelineOfRun(catalog, run);
  if (definition !== undefined) return definitionFor(definition, run.app);
  throw new StepFailed({
    code: 'PIPELINE_GONE',
    message: `The config has no pipeline ${run.pipeline} any more, and none that takes ${run.ref} of ${run.repository.name}`,
    hint: 'Put it back into the config file, or list the repository under another pipeline.',
  });
};
