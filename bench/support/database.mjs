import { prepareDataFolder, startEmbeddedPostgres } from '@pipit/engine-dbos';

const quiet = {
  debug: () => {},
  info: () => {},
  warn: (fields, message) => console.error(message, fields),
  error: (fields, message) => console.error(message, fields),
};

/** PostgreSQL as pipit embeds it: same programs, same settings, durable commits. */
export const startDatabase = async (folder) => {
  await prepareDataFolder(folder);
  return startEmbeddedPostgres({ dataFolder: folder, logger: quiet });
};
