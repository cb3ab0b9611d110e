import { PluginError } from '@pipit/core';
import { requestHttp } from '@pipit/plugin-kit';
import { z } from 'zod';
import type { SmithyConfig } from './smithy-config.js';

const build = z.object({
  id: z.string(),
  page: z.string(),
  label: z.string(),
  commit: z.string(),
  status: z.enum(['waiting', 'running', 'green', 'red', 'stopped']),
});

export type SmithyBuild = z.output<typeof build>;

/** All of Smithy that the plugin needs. */
export interface SmithyClient {
  findBuild(project: string, label: string, signal: AbortSignal): Promise<SmithyBuild | undefined>;
  startBuild(project: string, order: { readonly label: string; readonly commit: string }, signal: AbortSignal): Promise<SmithyBuild>;
  readBuild(project: string, id: string, signal: AbortSignal): Promise<SmithyBuild | undefined>;
}

export const createSmithyClient = ({ url, token }: SmithyConfig): SmithyClient => {
  const headers = { authorization: `Bearer ${token.reveal()}`, 'content-type': 'application/json' };
  const buildsOf = (project: string): string => `${url}/projects/${encodeURIComponent(project)}/builds`;
  return {
    findBuild: async (project, label, signal) => {
      const answer = await requestHttp({ url: `${buildsOf(project)}?label=${encodeURIComponent(label)}`, headers, signal });
      return z.array(build).parse(answer.json())[0];
    },
    startBuild: async (project, order, signal) => {
      const answer = await requestHttp({ method: 'POST', url: buildsOf(project), headers, body: JSON.stringify(order), signal });
      if (answer.status === 404)
        throw new PluginError({
          code: 'SMITHY_PROJECT_NOT_FOUND',
          message: `Smithy has no project ${JSON.stringify(project)}`,
          hint: 'Create it in Smithy, or correct `project` in the pipeline.',
          recovery: 'stop',
        });
      return build.parse(answer.json());
    },
    readBuild: async (project, id, signal) => {
      const answer = await requestHttp({ url: `${buildsOf(project)}/${encodeURIComponent(id)}`, headers, signal });
      return answer.status === 404 ? undefined : build.parse(answer.json());
    },
  };
};
