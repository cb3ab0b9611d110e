import type { Artifact, ArtifactId, PackageName } from '@pipit/core';
import type { OperationPorts } from './operation-ports.js';
import { readDefinition } from './read-definition.js';
import { readRelease } from './read-release.js';
import type { OperationScope, StepTools } from './run-step.js';
import { StepFailed } from './step-failed.js';

const sameSlot = (one: ArtifactId, other: ArtifactId): boolean =>
  one.format === other.format && one.name === other.name && one.architecture === other.architecture;

/** The artifacts that are not published yet; other bytes under the same name stop the run. */
export const findUnpublished = (artifacts: readonly Artifact[], published: readonly ArtifactId[]): readonly Artifact[] =>
  artifacts.filter((artifact) => {
    const there = published.find((each) => sameSlot(each, artifact));
    if (there !== undefined && there.digest !== artifact.digest)
      throw new StepFailed({
        code: 'REPOSITORY_DIGEST_CONFLICT',
        message: `The repository has ${artifact.name} ${artifact.version} (${artifact.architecture}) with ${there.digest}, but this run made ${artifact.digest}`,
        hint: 'Somebody published other bytes under this version. Find out who; then remove them there, or push a new commit.',
      });
    return there === undefined;
  });

/** Puts the release into the repository, where no ring sees it yet. Steps: publish. */
export const runPublish = async (ports: OperationPorts, scope: OperationScope): Promise<{ readonly published: number }> => {
  const { catalog, records } = ports;
  const published = await scope.step(
    'publish',
    async (tools) => {
      const { repository } = readDefinition(catalog, scope.run);
      const release = await readRelease(records, scope.run.app, scope.run.version);
      const names = [...new Set(release.artifacts.map((artifact) => artifact.name))];
      const find = async (inside: StepTools): Promise<readonly ArtifactId[]> => {
        const effect = { part: repository, folder: 'attempt' } as const;
        const { options } = repository;
        const of = (name: PackageName) =>
          inside.effect(effect, (op) => repository.subject.find({ name, version: release.version, options }, op));
        return (await Promise.all(names.map(of))).flat();
      };
      return records.exclusively(`repository:${repository.instance}`, async () => {
        const missing = findUnpublished(release.artifacts, await find(tools));
        if (missing.length === 0) return 0;
        await tools.effect({ part: repository, folder: 'attempt' }, (op) =>
          repository.subject.publish({ artifacts: missing, options: repository.options }, op),
        );
        // No tool's exit status is believed: what counts is what hosts will read.
        if (findUnpublished(release.artifacts, await find(tools)).length > 0)
          throw new StepFailed({
            code: 'REPOSITORY_NOT_PUBLISHED',
            message: `${repository.instance} reported success, but its index does not list ${release.version}`,
            hint: 'See `pipit doctor`, and the log of this step.',
          });
        tools.report(`${release.version} is in the repository; no ring sees it yet`);
        return missing.length;
      });
    },
    { cancellable: true },
  );
  return { published };
};
