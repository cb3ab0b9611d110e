import type { FastifyInstance } from 'fastify';

/** Views of which the config may make a part public. */
export type PublicView = 'apps' | 'runs';

/**
 * What a route asks of its caller. `token`: a valid token, unless the config makes its view public; what the token may do is decided by the runtime.
 * `metrics`: the same, but for the addresses that the config lets in. `hook`: the plugin verifies. `probe`: nothing, and nothing is told.
 */
export type Access = { readonly by: 'token'; readonly publicAs?: PublicView } | { readonly by: 'metrics' | 'hook' | 'probe' };

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly access?: Access;
  }
}

/** Refuses to register a route without an access rule: forgetting one must not open it. */
export const requireAccessRules = (app: FastifyInstance): void => {
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.access === undefined) throw new TypeError(`The route ${String(method)} ${url} has no access rule`);
  });
};
