import { prepareDataFolder, startEmbeddedPostgres } from '@pipit/engine-dbos';

const quiet = {
  debug: () => {},
  info: () => {},
  warn: (fields, message) => console.error(message, fields),
  error: (fields, message) => console.error(message, fields),
};

/** PostgreSQL as pipit embeds it: same programs, same settings, durable commits. Its owner's address: benchmarks make tables of their own. */
export const startDatabase = async (folder) => {
  await prepareDataFolder(folder);
  const database = await startEmbeddedPostgres({ dataFolder: folder, logger: quiet });
  return { url: database.ownerUrl, stop: () => database.stop() };
};
