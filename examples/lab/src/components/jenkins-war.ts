import { copyFile, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { labCacheFolder, withMachineLock } from './cache-folder.js';

/** The newest Jenkins that a package registry has. */
export const JENKINS_VERSION = '1.514';

/** Raised when the patch below changes, so that a cached file of before is not taken. */
const PATCH = 1;

/**
 * The map that XStream reads a job's settings into. The original one breaks on every Java from 8 on, where `HashMap.putAll` calls `entrySet`:
 * without this a job cannot be created. Ours is written anew, and does what its name says.
 */
const ORDERED_MAP = `package com.thoughtworks.xstream.core.util;

public class OrderRetainingMap extends java.util.LinkedHashMap {
  public OrderRetainingMap() {}

  public OrderRetainingMap(java.util.Map other) {
    super(other);
  }
}
`;

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const buildWar = async (work: string): Promise<string> => {
  const run = (program: string, ...argv: readonly string[]) => execa(program, [...argv], { cwd: work });
  await run('gem', 'fetch', 'jenkins-war', '--version', JENKINS_VERSION);
  await run('tar', 'xf', `jenkins-war-${JENKINS_VERSION}.gem`, 'data.tar.gz');
  await run('tar', 'xzf', 'data.tar.gz', 'lib/jenkins/jenkins.war');
  const source = join(work, 'OrderRetainingMap.java');
  await writeFile(source, ORDERED_MAP);
  const classes = join(work, 'WEB-INF', 'classes');
  await mkdir(classes, { recursive: true });
  await run('javac', '--release', '8', '-nowarn', '-Xlint:-options', '-d', classes, source);
  await copyFile(join(work, 'lib', 'jenkins', 'jenkins.war'), join(work, 'jenkins.war'));
  await run('jar', 'uf', 'jenkins.war', 'WEB-INF/classes');
  return join(work, 'jenkins.war');
};

/**
 * The path of a jenkins.war that runs on Java 17, from the cache or brought here: 51 MB once. Needs `gem` (ruby) and `javac`
 * (openjdk-17-jdk-headless). Two processes that ask at once download it once.
 */
export const jenkinsWar = async (): Promise<string> => {
  const cache = await labCacheFolder();
  const war = join(cache, `jenkins-${JENKINS_VERSION}-${PATCH}.war`);
  if (await exists(war)) return war;
  await withMachineLock(join(cache, 'jenkins.lock'), async () => {
    if (await exists(war)) return;
    const work = await mkdtemp(join(cache, 'jenkins-'));
    try {
      // Renamed as the last act: nobody ever sees half a file.
      await rename(await buildWar(work), war);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return war;
};
