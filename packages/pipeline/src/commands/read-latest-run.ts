import type { AppName, RoleName } from '@pipit/core';
import type { PipelineCatalog } from '../ports/parts.js';
import type { RecordsReader } from '../ports/records.js';
import { pipelineOfRun } from '../records/pipeline-of-run.js';
import type { RunRow } from '../records/rows.js';
import { refuse } from './command-error.js';

/** The newest run of an app, with today's pipeline and rings: what a person's command is made after. Refuses when the config delivers the app no more. */
export const readLatestRun = async (
  reader: RecordsReader,
  catalog: PipelineCatalog,
  app: AppName,
  role: RoleName | undefined,
): Promise<RunRow> => {
  const where = role === undefined ? { app } : { app, role };
  const [latest] = await reader.list('runs', { where, orderBy: ['number', 'descending'], limit: 1 });
  if (latest === undefined)
    return refuse({ code: 'APP_UNKNOWN', message: `No run of app ${app} is known`, hint: 'See `pipit runs` for the apps there are.' });
  const definition = pipelineOfRun(catalog, latest);
  if (definition === undefined)
    return refuse({
      code: 'PIPELINE_GONE',
      message: `The config has no pipeline ${latest.pipeline} any more, and none that takes ${latest.ref} of ${latest.repository.name}`,
      hint: 'Put it back into the config file, or list the repository under another pipeline.',
    });
  return { ...latest, pipeline: definition.name, rings: definition.rings };
};
