import type {
  Artifact,
  ArtifactId,
  ChangeEvent,
  Commit,
  ForeignPackage,
  HealthCheck,
  HealthFinding,
  HostReport,
  Inbound,
  PackageMetadata,
  Receipt,
  RepositoryRef,
  RingRef,
} from '@pipit/core';
import { z } from 'zod';
import { branded, digest, labels, named } from './primitive-schemas.js';

/** core's domain types as they stand in answers. The annotations hold each schema equal to its type. */

export const repositoryRef: z.ZodType<RepositoryRef> = named('Repository', z.object({ id: z.string(), name: z.string(), url: z.string() }));

export const commit: z.ZodType<Commit> = named(
  'Commit',
  z.object({ repository: repositoryRef, sha: branded<Commit['sha']>(), committedAt: z.string() }),
);

const ringRef: z.ZodType<RingRef> = z.object({
  app: branded<RingRef['app']>(),
  role: branded<RingRef['role']>(),
  ring: branded<RingRef['ring']>(),
});

const artifactIdShape = {
  format: z.enum(['deb', 'rpm', 'oci']),
  name: branded<ArtifactId['name']>(),
  version: branded<ArtifactId['version']>(),
  architecture: z.string(),
  digest,
};

export const artifactId: z.ZodType<ArtifactId> = named('ArtifactId', z.object(artifactIdShape));

export const artifact: z.ZodType<Artifact> = named(
  'Artifact',
  z.object({
    ...artifactIdShape,
    content: z.union([z.object({ sha256: digest, size: z.number() }), z.object({ reference: z.string() })]),
  }),
);

const withinMs = z.number();

export const healthCheck: z.ZodType<HealthCheck> = named(
  'HealthCheck',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('http'), port: z.number(), path: z.string(), withinMs }),
    z.object({ type: z.literal('tcp'), port: z.number(), withinMs }),
    z.object({ type: z.literal('command'), argv: z.array(z.string()), withinMs }),
  ]),
);

export const packageMetadata: z.ZodType<PackageMetadata> = named(
  'PackageMetadata',
  z.object({
    description: z.string(),
    depends: z.array(z.string()),
    architectures: z.array(z.string()),
    prefix: z.string(),
    configFiles: z.array(z.string()),
    services: z.array(branded<PackageMetadata['services'][number]>()),
  }),
);

export const errorRecord = named('ErrorRecord', z.object({ code: z.string(), message: z.string(), hint: z.string().exactOptional() }));

const receipt: z.ZodType<Receipt> = z.object({
  version: branded<Receipt['version']>(),
  digest: digest.exactOptional(),
  sequence: z.number().exactOptional(),
});

export const hostReport: z.ZodType<HostReport> = named(
  'HostReport',
  z.object({
    hostId: z.string(),
    reachable: z.boolean(),
    busy: z.boolean().exactOptional(),
    healthy: z.boolean().exactOptional(),
    raw: z.string().exactOptional(),
    installed: receipt.exactOptional(),
    foreign: z.object({ name: branded<ForeignPackage['name']>(), version: z.string() }).exactOptional(),
    error: errorRecord.exactOptional(),
  }),
);

const changeEvent: z.ZodType<ChangeEvent> = z.object({
  key: z.string(),
  repository: repositoryRef,
  ref: branded<ChangeEvent['ref']>(),
  sha: branded<Commit['sha']>().nullable(),
  before: branded<Commit['sha']>().exactOptional(),
  author: z.string().exactOptional(),
  delivery: z.string().exactOptional(),
});

export const inbound: z.ZodType<Inbound> = named(
  'Inbound',
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('change'), event: changeEvent }),
    z.object({
      type: z.literal('build'),
      handle: z.string().exactOptional(),
      key: z.string().exactOptional(),
      commit: z.string().exactOptional(),
    }),
    z.object({ type: z.literal('alarm'), alarm: z.object({ id: z.string(), firing: z.boolean(), since: z.string(), labels }) }),
    z.object({
      type: z.literal('command'),
      command: z.object({ userId: z.string(), words: z.array(z.string()), replyTo: z.string() }),
    }),
    z.object({ type: z.literal('host'), ring: ringRef, report: hostReport }),
  ]),
);

export const healthFindingShape = {
  name: z.string(),
  ok: z.boolean(),
  detail: z.string().exactOptional(),
  hint: z.string().exactOptional(),
} satisfies { readonly [K in keyof HealthFinding]-?: unknown };
