import type { AppName, RefName } from '@pipit/core';

/** The names from the outermost folder to the job, as Jenkins shows them in `fullName`. */
export type JobPath = readonly string[];

/** Reads `shop`, `folder/shop` and, as in the address bar, `folder/job/shop`; undefined for what cannot be a job. */
export const parseJobName = (text: string): JobPath | undefined => {
  const parts = text
    .replace(/^\/?(?:job\/)?/, '')
    .replace(/\/$/, '')
    .split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || /\p{Cc}/u.test(part))) return undefined;
  const between = parts.filter((_part, at) => at % 2 === 1);
  const isAddress = parts.length % 2 === 1 && between.every((part) => part === 'job');
  return isAddress ? parts.filter((_part, at) => at % 2 === 0) : parts;
};

/** What Jenkins allows in no job's name. Source: hudson.model.Jenkins.checkGoodName, which jenkins.branch's NameEncoder follows. */
const UNSAFE = /[?*/\\%!@#$^&|<>[\]:;\p{Cc}]/gu;

const encodeUnsafe = (character: string): string =>
  [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

/** The name that a multibranch project gives the job of a ref: `feature/login` is `feature%2Flogin`, a pull request is `PR-12`. */
export const branchJobName = (ref: RefName): string => {
  const pull = /^refs\/pull\/(\d+)\//.exec(ref)?.[1];
  return pull === undefined ? branchName(ref).replace(UNSAFE, encodeUnsafe) : `PR-${pull}`;
};

/** The branch or tag as Jenkins' git plugin names it; any other ref in full. */
export const branchName = (ref: RefName): string => ref.replace(/^refs\/(?:heads|tags)\//, '');

export interface WantedJob {
  /** From the options; `${app}` stands for the app. */
  readonly job: string;
  readonly multibranch: boolean;
}

/** Stands for the app's name in `job`. */
export const APP_PLACEHOLDER = `$\{app}`;

/** The job that builds this app and ref. */
export const jobPathOf = ({ job, multibranch }: WantedJob, app: AppName, ref: RefName): JobPath => {
  const parts = (parseJobName(job) ?? []).map((part) => part.replaceAll(APP_PLACEHOLDER, app));
  return multibranch ? [...parts, branchJobName(ref)] : parts;
};

/** Its address, relative to Jenkins' own, with a closing slash. */
export const jobAddress = (path: JobPath): string => path.map((part) => `job/${encodeURIComponent(part)}/`).join('');

export const shownJob = (path: JobPath): string => path.join('/');
