import type { ConfigPath } from './config-path.js';
import type { ProblemReport } from './problem-report.js';
import { isMapping } from './schema-shape.js';

/** What holds between the rings of a pipeline: names are unique, and nothing comes before the first. Works on the values as written. */
export const checkRings = (rings: unknown, path: ConfigPath, report: ProblemReport): void => {
  if (!Array.isArray(rings)) return;
  const seen = new Set<string>();
  for (const [index, ring] of rings.entries()) {
    if (!isMapping(ring)) continue;
    if (index === 0 && ring.promotion !== undefined)
      report.addAtKey([...path, index, 'promotion'], {
        code: 'RING_FIRST_PROMOTION',
        message: 'The first ring is entered by a run itself, so it has no promotion',
        hint: 'Take it out, or move it to a later ring.',
      });
    if (typeof ring.name !== 'string') continue;
    if (seen.has(ring.name))
      report.add([...path, index, 'name'], {
        code: 'RING_DUPLICATE',
        message: `A ring ${JSON.stringify(ring.name)} stands here a second time`,
      });
    seen.add(ring.name);
  }
};
