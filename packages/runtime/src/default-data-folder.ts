import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where pipit keeps its data unless told: `/var/lib/pipit` for root, else `pipit` in the user's data folder. Source: FHS 3.0; XDG Base Directory 0.8. */
export const defaultDataFolder = (environment: Readonly<Record<string, string | undefined>>): string =>
  process.getuid?.() === 0 ? '/var/lib/pipit' : join(environment.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'pipit');
