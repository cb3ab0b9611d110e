import { compileGlobs } from './glob-list.js';
import type { ProblemReport } from './problem-report.js';
import { isMapping } from './schema-shape.js';

interface Taker {
  readonly name: string;
  readonly trigger: unknown;
  readonly patterns: readonly string[];
}

const triggerOf = (pipeline: Readonly<Record<string, unknown>>): unknown =>
  isMapping(pipeline.trigger) ? pipeline.trigger.use : pipeline.trigger;

const isPlainName = (pattern: string): boolean => !/[*?![\]{}()|+@]/.test(pattern);

const takes = (taker: Taker, pattern: string): boolean =>
  taker.patterns.includes(pattern) || (isPlainName(pattern) && taker.patterns.length > 0 && compileGlobs(taker.patterns)(pattern));

/** Warns of repositories that an earlier pipeline of the same trigger takes: the first in the file's order gets them. */
export const checkShadowedPipelines = (root: unknown, warnings: ProblemReport): void => {
  const earlier: Taker[] = [];
  const pipelines = isMapping(root) && isMapping(root.pipelines) ? root.pipelines : {};
  for (const [name, pipeline] of Object.entries(pipelines)) {
    if (!isMapping(pipeline) || !Array.isArray(pipeline.repositories)) continue;
    const trigger = triggerOf(pipeline);
    const written: readonly unknown[] = pipeline.repositories;
    for (const [index, pattern] of written.entries()) {
      if (typeof pattern !== 'string' || pattern === '' || pattern.startsWith('!')) continue;
      const taker = earlier.find((candidate) => candidate.trigger === trigger && takes(candidate, pattern));
      if (taker !== undefined)
        warnings.add(['pipelines', name, 'repositories', index], {
          code: 'PIPELINE_SHADOWED',
          message: `Pipeline ${JSON.stringify(taker.name)} takes these repositories before this one can`,
          hint: 'The first pipeline in the file whose `repositories` match gets a push: take the pattern out of one of the two.',
        });
    }
    const patterns = written.filter((pattern): pattern is string => typeof pattern === 'string' && pattern !== '');
    earlier.push({ name, trigger, patterns });
  }
};
