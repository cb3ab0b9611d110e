import type { RepositoryRef } from '../domain/change-event.js';
import { type AppName, parseAppName } from '../identifiers.js';

/** An app is named as its repository: the last segment, in lower case, `_` as `-`, without `.git`. */
export const appNameOf = (repository: RepositoryRef): AppName =>
  parseAppName(
    (repository.name.split('/').at(-1) ?? '')
      .replace(/\.git$/, '')
      .toLowerCase()
      .replaceAll('_', '-'),
  );
