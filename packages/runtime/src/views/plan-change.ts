import {
  appNameOf,
  isPluginError,
  isReservedPackageName,
  PluginError,
  packageVersion,
  parseCommitSha,
  parsePackageName,
  parseRefName,
  type RepositoryRef,
} from '@pipit/core';
import { definitionFor, type ErrorRecord, type PipelineDefinition, planStages, type Stage } from '@pipit/pipeline';
import type { PlanView } from '../api.js';
import { createCall } from '../effects.js';
import { unknown } from './unknown.js';
import type { ViewPorts } from './view-ports.js';

const DEADLINE_MS = 60_000;

const describe = (stage: Stage, definition: PipelineDefinition): string => {
  switch (stage.kind) {
    case 'operation':
      return {
        build: `${definition.ci.instance} builds and tests the commit`,
        package: `${definition.packager.instance} makes the package`,
        publish: `${definition.repository.instance} gets it; no ring sees it yet`,
      }[stage.operation];
    case 'rollout':
      return `${stage.ring} is offered, advertised and installed by ${definition.deployer.instance}, then verified`;
    case 'bake': {
      const policy = definition.rings.find((ring) => ring.name === stage.ring);
      return policy === undefined || policy.bakeMs === 0
        ? `${stage.ring} is not watched (bake 0s)`
        : `${stage.ring} is watched for ${policy.bakeMs / 1000} s`;
    }
    case 'promotion':
      return definition.rings.find((ring) => ring.name === stage.ring)?.promotion === 'automatic'
        ? `${stage.ring} follows ${stage.from} by itself`
        : `a person promotes what ${stage.from} runs to ${stage.ring}`;
    case 'rollback':
      return `${stage.ring} goes back`;
  }
};

/** Plans at a time: each fetches a repository, and makes up to a hundred calls of plugins. */
const MAX_PLANS = 4;
let plansUnderWay = 0;

/** What a commit would do, for as many as may query it at a time. */
export const planChange = async (ports: ViewPorts, query: PlanQuery): Promise<PlanView> => {
  if (plansUnderWay >= MAX_PLANS)
    throw new PluginError({
      code: 'PLANS_UNDER_WAY',
      message: `${MAX_PLANS} plans are being made`,
      hint: 'Query again in some seconds.',
      recovery: 'retry',
    });
  plansUnderWay += 1;
  try {
    return await makePlan(ports, query);
  } finally {
    plansUnderWay -= 1;
  }
};

interface PlanQuery {
  readonly repository: RepositoryRef;
  readonly instance: string;
  readonly ref: string;
  readonly commit?: string;
}

/** What a commit would do. Reads the repository, the package index and discovery; changes nothing. */
const makePlan = async (ports: ViewPorts, query: PlanQuery): Promise<PlanView> => {
  const { catalog, sources, records, signal } = ports;
  const call = createCall(ports.logger, signal, DEADLINE_MS);
  const ref = parseRefName(query.ref.startsWith('refs/') ? query.ref : `refs/heads/${query.ref}`);
  const sha =
    query.commit === undefined ? (await sources.readHead(query.repository, ref, call.signal))?.commit : parseCommitSha(query.commit);
  if (sha === undefined)
    throw unknown({
      code: 'REF_UNKNOWN',
      message: `Repository ${query.repository.name} has no ${ref}`,
      hint: 'Name another branch with --ref.',
    });
  if (query.commit !== undefined && !(await sources.isOfRef({ repository: query.repository, ref, sha }, call.signal)))
    throw unknown({
      code: 'COMMIT_NOT_OF_REF',
      message: `Commit ${sha} is not of ${ref} in repository ${query.repository.name}`,
      hint: 'Name the ref that it is on with --ref, or push it there.',
    });
  const app = appNameOf(query.repository);
  const match = await catalog.match(
    { instance: query.instance, repository: query.repository, ref, sha, before: undefined, author: undefined },
    call.signal,
  );
  if ('reason' in match)
    throw unknown({ code: 'PIPELINE_UNKNOWN', message: match.reason, hint: 'See the `repositories:` and `trigger:` of the config.' });
  const pipeline = definitionFor(match.pipeline, app);
  const commit = await sources.fetchCommit(query.repository, ref, sha, call.signal);
  const problems: ErrorRecord[] = [];
  if (isReservedPackageName(app))
    problems.push({
      code: 'APP_NAME_RESERVED',
      message: `The package of app ${app} would have the name of one that hosts cannot do without`,
      hint: "Rename the repository: an app's package has its name.",
    });
  const facts = await sources.readFacts(commit, app, call.signal).catch((error: unknown) => {
    if (!isPluginError(error) || error.recovery !== 'stop') throw error;
    problems.push({ code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) });
    return undefined;
  });
  const version = packageVersion(commit, facts?.baseVersion);
  const { repository, discovery } = pipeline;
  const published = await ports.withOp('plan', repository, commit, (op) =>
    repository.subject.find({ name: parsePackageName(app), version, options: repository.options }, op),
  );
  const role = pipeline.roleOf(app, facts?.role);
  const seen = new Set<string>();
  const rings: PlanView['rings'][number][] = [];
  for (const { name } of pipeline.rings) {
    const ring = { app, role, ring: name };
    const { hosts } = await discovery.subject.findHosts({ target: ring, options: discovery.options }, call);
    const own = hosts.filter((host) => !seen.has(host.id));
    for (const host of own) seen.add(host.id);
    const standing = await records.get('rings', ring);
    rings.push({ ring: name, runs: standing?.version ?? null, hosts: own.map(({ id, available }) => ({ id, available })) });
    if (own.length === 0)
      problems.push({
        code: 'RING_HAS_NO_HOSTS',
        message: `Discovery ${discovery.instance} knows no host of ${app} (${role}) in ring ${name}`,
        hint: 'Tag its hosts there.',
      });
  }
  const stages = planStages({ kind: 'delivery', rings: pipeline.rings, targetRing: null });
  return {
    app,
    pipeline: pipeline.name,
    commit: sha,
    version,
    published: published.length > 0,
    stages: stages.map((stage) => ({ name: stage.name, what: describe(stage, pipeline) })),
    rings,
    problems,
  };
};
