import type { Config, PipelineConfig } from './config.js';
import { compileGlobs } from './glob-list.js';

/**
 * The pipeline of a repository: the first in the file's order whose `repositories` match its name.
 *
 * @param trigger only pipelines whose trigger is this instance, so that an event goes to a pipeline that listens to its teller
 */
export const matchPipeline = (config: Pick<Config, 'pipelines'>, repositoryName: string, trigger?: string): PipelineConfig | undefined =>
  Object.values(config.pipelines).find(
    (pipeline) => (trigger === undefined || pipeline.trigger.use === trigger) && compileGlobs(pipeline.repositories)(repositoryName),
  );
