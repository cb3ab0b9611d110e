import type { AppName, RoleName } from '@pipit/core';
import type { PipelineCatalog } from '../ports/parts.js';
import type { RecordsReader } from '../ports/records.js';
import type { RunRow } from '../records/rows.js';
import { refuse } from './command-error.js';

/** The newest run of an app, with today's rings: what a person's command is made after. */
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
  return { ...latest, rings: catalog.get(latest.pipeline)?.rings ?? latest.rings };
};
