import { type AppName, type Artifact, type ArtifactId, packageVersion, parsePackageName } from '@pipit/core';
import type { BuildOperationResult } from './build.js';
import type { OperationPorts } from './operation-ports.js';
import { commitOf } from './read-commit.js';
import { readDefinition } from './read-definition.js';
import { RECORDED_NEXT } from './recorded-next.js';
import type { OperationScope } from './run-step.js';
import { StepFailed } from './step-failed.js';

export interface PackageOperationResult {
  readonly version: string;
  readonly adopted: boolean;
}

export interface PackageInput {
  readonly outputs: BuildOperationResult['outputs'];
}

const nameOf = (artifact: ArtifactId): string => `${artifact.name} ${artifact.version} (${artifact.format}, ${artifact.architecture})`;

/** What a packager gave is what was asked for: one name and version, measured bytes, one artifact a format and architecture. */
const checkArtifacts = (artifacts: readonly Artifact[], app: AppName, version: string): void => {
  const refuse = (message: string): never => {
    throw new StepFailed({
      code: 'PACKAGE_NOT_AS_ASKED',
      message,
      hint: 'This is a fault of the packager plugin: report it to its author.',
    });
  };
  if (artifacts.length === 0) refuse('The packager made no package');
  const seen = new Set<string>();
  for (const artifact of artifacts) {
    // The name decides what is replaced on a host.
    if (artifact.name !== parsePackageName(app)) refuse(`The packager made ${nameOf(artifact)}, not ${app}`);
    if (artifact.version !== version) refuse(`The packager made ${nameOf(artifact)}, not version ${version}`);
    if ('sha256' in artifact.content && artifact.format !== 'oci' && artifact.content.sha256 !== artifact.digest)
      refuse(`The packager says ${artifact.digest} of ${nameOf(artifact)}, but its bytes are ${artifact.content.sha256}`);
    const place = `${artifact.format}/${artifact.architecture}`;
    if (seen.has(place)) refuse(`The packager made two artifacts for ${place}`);
    seen.add(place);
  }
};

/** Makes the packages of the commit that CI passed, or adopts what is published for it already. Steps: adopt, package, record. */
export const runPackage = async (ports: OperationPorts, scope: OperationScope, input: PackageInput): Promise<PackageOperationResult> => {
  const { catalog, records, sources, clock } = ports;
  const cancellable = { cancellable: true };
  const { run } = scope;
  const commit = commitOf(run);

  const found = await scope.step(
    'adopt',
    async (tools) => {
      const { repository } = readDefinition(catalog, run);
      const facts = await sources.readFacts(commit, run.app, tools.signal);
      const version = packageVersion(commit, facts.baseVersion);
      const known = await records.get('releases', { app: run.app, version });
      if (known !== undefined && known.commit.sha === commit.sha) return { version, metadata: facts.metadata, artifacts: known.artifacts };
      const published = await tools.effect({ part: repository, folder: 'attempt' }, (op) =>
        repository.subject.find({ name: parsePackageName(run.app), version, options: repository.options }, op),
      );
      if (published.length > 0) tools.report(`${version} is published already: adopted, not built again`);
      return {
        version,
        metadata: facts.metadata,
        artifacts: published.map((artifact): Artifact => ({ ...artifact, content: { reference: 'published' } })),
      };
    },
    cancellable,
  );

  const artifacts =
    found.artifacts.length > 0
      ? found.artifacts
      : await scope.step(
          'package',
          async (tools) => {
            const { packager } = readDefinition(catalog, run);
            const made = await tools.effect({ part: packager, commit, folder: 'attempt' }, (op) =>
              packager.subject.package(
                { app: run.app, version: found.version, metadata: found.metadata, outputs: input.outputs, options: packager.options },
                op,
              ),
            );
            checkArtifacts(made, run.app, found.version);
            tools.report(made.map(nameOf).join(', '));
            return made;
          },
          cancellable,
        );

  await scope.step('record', async () => {
    const release = { app: run.app, version: found.version, commit, artifacts, runId: run.id, metadata: found.metadata };
    await records.transaction(async (transaction) => {
      const current = await transaction.get('runs', { id: run.id });
      const row = { ...release, health: current?.health ?? null, createdAt: clock.now().toISOString() };
      transaction.sendWithCommit(transaction.insert('releases', row));
      transaction.sendWithCommit(transaction.update('runs', { id: run.id }, { version: found.version, metadata: found.metadata }));
    }, RECORDED_NEXT);
    return null;
  });
  return { version: found.version, adopted: found.artifacts.length > 0 };
};
