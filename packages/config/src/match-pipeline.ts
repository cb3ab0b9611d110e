import type { Config, PipelineConfig } from './config.js';
import { compileGlobs } from './glob-list.js';

/** Compiled once a config: each event is matched. */
const compiled = new WeakMap<readonly string[], (text: string) => boolean>();
const globsOf = (patterns: readonly string[]): ((text: string) => boolean) => {
  const known = compiled.get(patterns) ?? compileGlobs(patterns);
  compiled.set(patterns, known);
  return known;
};

/**
 * The pipeline of a repository: the first in the file's order whose `repositories` match its name.
 *
 * @param trigger only pipelines whose trigger is this instance, so that an event goes to a pipeline that listens to its teller
 */
export const matchPipeline = (config: Pick<Config, 'pipelines'>, repositoryName: string, trigger?: string): PipelineConfig | undefined =>
  Object.values(config.pipelines).find(
    (pipeline) => (trigger === undefined || pipeline.trigger.use === trigger) && globsOf(pipeline.repositories)(repositoryName),
  );
