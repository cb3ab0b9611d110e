import type { Labels } from '@pipit/core';

/** Where programs are looked for: Debian's own folders, `sbin` included. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The environment that a command gets when nothing else is said. Nothing of pipit's own environment is in it. */
export const minimalEnvironment = (folder: string): Labels => ({ PATH: SYSTEM_PATH, LANG: 'C.UTF-8', HOME: folder });
