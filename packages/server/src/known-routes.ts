import type { FastifyInstance } from 'fastify';
import { HttpError } from './http-error.js';

const patternOf = (url: string): RegExp =>
  new RegExp(
    `^${url
      .split('/')
      .map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll('.', '\\.')))
      .join('/')}$`,
  );

/** Remembers every route registered after this call, so that the wrong method at a right path is told apart from a wrong path. */
export const rememberRoutes = (app: FastifyInstance): ((method: string, path: string) => HttpError) => {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', (route) => {
    const known = methods.get(route.url) ?? new Set();
    for (const method of [route.method].flat()) known.add(method);
    methods.set(route.url, known);
  });
  return (method, path) => {
    const found = [...methods].find(([url]) => patternOf(url).test(path));
    if (found === undefined)
      return new HttpError({ status: 404, code: 'ROUTE_UNKNOWN', message: 'There is nothing at this path', hint: 'See /openapi.json.' });
    const allow = [...found[1]].sort().join(', ');
    return new HttpError({
      status: 405,
      code: 'METHOD_NOT_ALLOWED',
      message: `${method} is not taken here`,
      hint: `Use ${allow}.`,
      headers: { allow },
    });
  };
};
