/**
 * Where images of hosts are kept: `$PIPIT_LAB_CACHE`, by default `/var/cache/pipit-lab`. Outside the repository, and root's: device files and
 * set-user-id programs of another system have no place in a home folder.
 */
export const imageCacheFolder = (): string => process.env.PIPIT_LAB_CACHE || '/var/cache/pipit-lab';
