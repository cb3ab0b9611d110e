import {
  type Artifact,
  type ArtifactId,
  type BuildRequest,
  type BuildResult,
  type Ci,
  type CommitSha,
  type Packager,
  type PackageVersion,
  PluginError,
  parseCommitSha,
  parsePackageName,
  type Repository,
  type RingRef,
} from '@pipit/core';
import { measure } from '@pipit/plugin-testing';
import { callOutside } from './call-outside.js';
import type { Life } from './life.js';
import type { CommitPlan, Outside } from './outside.js';

/** How often a build is asked for before it has ended. */
const INSPECTIONS_OF_A_BUILD = 2;

export const idOf = ({ format, name, version, architecture, digest }: ArtifactId): ArtifactId => ({
  format,
  name,
  version,
  architecture,
  digest,
});

export const ringKey = ({ app, role, ring }: RingRef): string => `${app}:${role}:${ring}`;

const planOf = (outside: Outside, repositoryId: string, sha: CommitSha): CommitPlan =>
  outside.repositories.get(repositoryId)?.commits.get(sha)?.plan ?? {};

const resultOf = (plan: CommitPlan, sha: CommitSha): BuildResult => {
  switch (plan.ci) {
    case 'fails':
      return { outcome: 'failed', raw: 'FAILURE', reason: 'script/cibuild ended with 1' };
    case 'cancelled':
      return { outcome: 'cancelled', raw: 'ABORTED', reason: 'stopped by anna in the CI' };
    case 'passes another commit':
      return { outcome: 'passed', raw: 'SUCCESS', commit: parseCommitSha('f'.repeat(40)) };
    default:
      return { outcome: 'passed', raw: 'SUCCESS', commit: sha };
  }
};

/** A CI that finds its builds by their key. */
export const createSimulatedCi = (outside: Outside, life: Life): Ci<unknown> => {
  const call = <T>(name: string, effect: () => T): Promise<T> => callOutside(outside, life, `ci.${name}`, effect);
  const buildOf = (handle: string) => outside.builds.find((build) => build.key === handle);
  return {
    find: (_request, op) => call('find', () => buildOf(op.key)?.key),
    start: ({ commit }: BuildRequest<unknown>, op) =>
      call('start', () => {
        outside.builds.push({ key: op.key, sha: commit.sha, cancelled: false, inspections: 0 });
        return op.key;
      }),
    inspect: ({ handle, request }) =>
      call('inspect', () => {
        const build = buildOf(handle);
        const plan = planOf(outside, request.commit.repository.id, request.commit.sha);
        if (build === undefined || plan.ci === 'is lost') return { state: 'lost', reason: 'the CI knows no such build' } as const;
        build.inspections += 1;
        if (build.cancelled)
          return { state: 'ended', result: { outcome: 'cancelled', raw: 'ABORTED', reason: 'stopped by pipit' } } as const;
        if (build.inspections < (plan.inspections ?? INSPECTIONS_OF_A_BUILD)) return { state: 'running' } as const;
        return { state: 'ended', result: resultOf(plan, build.sha) } as const;
      }),
    cancel: ({ handle }) =>
      call('cancel', () => {
        const build = buildOf(handle);
        if (build !== undefined) build.cancelled = true;
      }),
    readLog: (_started, after) => call('readLog', () => ({ text: after === undefined ? 'compiling\n' : '', cursor: '1' })),
    collect: ({ request }) => call('collect', () => [{ path: 'bin/web', file: measure(Buffer.from(`built from ${request.commit.sha}`)) }]),
  };
};

const artifactOf = (name: string, version: PackageVersion, architecture: string, text: string): Artifact => {
  const content = measure(Buffer.from(text));
  return { format: 'deb', name: parsePackageName(name), version, architecture, digest: content.sha256, content };
};

/** A packager that makes the same bytes from the same commit. */
export const createSimulatedPackager = (outside: Outside, life: Life): Packager<unknown> => ({
  formats: ['deb'],
  package: (request, op) =>
    callOutside(outside, life, 'packager.package', () => {
      const { app, version } = request;
      outside.packageRequests.push(request);
      const { commit } = op.source;
      const plan = planOf(outside, commit.repository.id, commit.sha);
      if (plan.packaging === 'fails')
        throw new PluginError({ code: 'SIMULATED_PACKAGE_FAILED', message: 'script/package ended with 2', recovery: 'stop' });
      if (plan.packaging === 'makes nothing') return [];
      outside.packaged.push(version);
      outside.plans.set(version, plan);
      const other = plan.packaging === 'makes another version' ? (`${version}+other` as PackageVersion) : version;
      const made = (plan.architectures ?? ['amd64']).map((each) => artifactOf(app, other, each, `${version} ${commit.sha} ${each}`));
      return plan.packaging === 'lies about the digest'
        ? made.map((each) => ({ ...each, digest: measure(Buffer.from('other')).sha256 }))
        : made;
    }),
});

const samePlace = (one: ArtifactId, other: ArtifactId): boolean =>
  one.name === other.name && one.version === other.version && one.architecture === other.architecture;

/** A repository with a view for each ring. */
export const createSimulatedRepository = (outside: Outside, life: Life): Repository<unknown> => {
  const call = <T>(name: string, effect: () => T): Promise<T> => callOutside(outside, life, `repository.${name}`, effect);
  return {
    formats: ['deb'],
    find: ({ name, version }) =>
      call('find', () => outside.published.filter((each) => each.name === name && each.version === version).map(idOf)),
    publish: ({ artifacts }) =>
      call('publish', () => {
        for (const artifact of artifacts) {
          const there = outside.published.find((each) => samePlace(each, artifact));
          if (there !== undefined && there.digest !== artifact.digest)
            throw new PluginError({ code: 'SIMULATED_OTHER_BYTES', message: `${there.digest} is there`, recovery: 'stop' });
          if (there !== undefined) continue;
          outside.published.push(idOf(artifact));
          outside.publications.push(idOf(artifact));
        }
      }),
    installSources: () =>
      call('installSources', () => [{ format: 'deb', uris: ['file:/srv/apt'], suite: 'web', components: ['main'], keys: [] }]),
    offer: ({ ring, artifacts }) =>
      call('offer', () => {
        outside.views.set(ringKey(ring), artifacts.map(idOf));
      }),
  };
};
