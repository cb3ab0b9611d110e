import type { PipelineCatalog, PipelineDefinition } from '../ports/parts.js';
import type { RunRow } from './rows.js';

/** Today's pipeline of a run, also where the config has renamed it since the run began. */
export const pipelineOfRun = (
  catalog: PipelineCatalog,
  { pipeline, repository, ref }: Pick<RunRow, 'pipeline' | 'repository' | 'ref'>,
): PipelineDefinition | undefined => catalog.of({ pipeline, repositoryName: repository.name, ref });
