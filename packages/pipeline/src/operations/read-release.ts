import type { AppName, PackageVersion } from '@pipit/core';
import type { RecordsReader } from '../ports/records.js';
import type { ReleaseRow } from '../records/rows.js';
import { StepFailed } from './step-failed.js';

export const readRelease = async (records: RecordsReader, app: AppName, version: PackageVersion | null): Promise<ReleaseRow> => {
  const release = version === null ? undefined : await records.get('releases', { app, version });
  if (release !== undefined) return release;
  throw new StepFailed({ code: 'RELEASE_NOT_RECORDED', message: `Release ${version ?? 'none'} of ${app} is not recorded` });
};
