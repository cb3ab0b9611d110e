import { basename } from 'node:path';
import { PluginError, type Secret, type Shell } from '@pipit/core';
import { describeIssues, type HttpAnswer, requestHttp } from '@pipit/plugin-kit';
import { z } from 'zod';
import type { Aptly, NewPublication } from './aptly.js';
import { aptlyFailure } from './aptly-failure.js';

/** Publishing a large repository takes its time, and 1.5.0 answers when it is done. */
const REQUEST_TIMEOUT_MS = 10 * 60_000;

export interface AptlyApiOptions {
  readonly url: string;
  readonly user?: string;
  readonly password?: Secret;
  readonly token?: Secret;
  readonly shell: Shell;
  readonly signal: AbortSignal;
  readonly repo: string;
  readonly signWith: string;
  /** Names the upload folder: unique among the calls that may run at the same time. */
  readonly uploadFolder: string;
}

/** The header that a proxy in front of the API asks for; none where the config gives nothing. */
export const authorizationOf = ({
  user,
  password,
  token,
}: {
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  readonly token?: Secret | undefined;
}): Readonly<Record<string, string>> => {
  if (token !== undefined) return { authorization: `Bearer ${token.reveal()}` };
  if (user === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${user}:${password?.reveal() ?? ''}`).toString('base64')}` };
};

const errorAnswer = z.object({ error: z.string() });
const packageKeys = z.array(z.string());
const named = z.array(z.object({ Name: z.string() }));
const publications = z.array(z.object({ Prefix: z.string(), Distribution: z.string() }));
const addReport = z.object({ FailedFiles: z.array(z.string()).nullable(), Report: z.object({ Warnings: z.array(z.string()).nullable() }) });

/** aptly writes the prefix `.` as `:.` in addresses. */
const HERE = ':.';

const part = encodeURIComponent;

/** The body of a form with one file. Source: RFC 7578. */
const fileForm = (name: string, bytes: Uint8Array, boundary: string): Uint8Array =>
  Buffer.concat([
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`,
    ),
    bytes,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);

/** aptly over the REST API of `aptly api serve`. */
export const createAptlyApi = (options: AptlyApiOptions): Aptly => {
  const { shell, signal, repo, uploadFolder } = options;
  const base = options.url.replace(/\/+$/, '');
  const authorization = authorizationOf(options);
  const signing = { Batch: true, GpgKey: options.signWith };
  // 1.5.0 ends a first publication without SkipBz2 in a panic: 500, and no word of why.
  const indexes = { SkipContents: true, SkipBz2: true, AcquireByHash: true };
  const local = `repos/${part(repo)}`;

  const send = async (
    method: string,
    path: string,
    body?: { readonly json: unknown } | { readonly bytes: Uint8Array; readonly type: string },
  ): Promise<HttpAnswer> =>
    requestHttp({
      method,
      url: `${base}/api/${path}`,
      headers: {
        ...authorization,
        ...(body === undefined ? {} : { 'content-type': 'json' in body ? 'application/json' : body.type }),
      },
      ...(body === undefined ? {} : { body: 'json' in body ? JSON.stringify(body.json) : body.bytes }),
      signal,
      timeoutMs: REQUEST_TIMEOUT_MS,
      answers: [500],
    });

  const failureOf = (method: string, path: string, answer: HttpAnswer): PluginError => {
    const parsed = errorAnswer.safeParse(parseJson(answer));
    return aptlyFailure(`aptly's ${method} ${path.split('?')[0]} (${answer.status})`, parsed.success ? parsed.data.error : answer.text());
  };

  const call = async (method: string, path: string, json?: unknown): Promise<unknown> => {
    const answer = await send(method, path, json === undefined ? undefined : { json });
    if (answer.status < 200 || answer.status >= 300) throw failureOf(method, path, answer);
    return parseJson(answer);
  };

  const ask = async <T>(schema: z.ZodType<T>, path: string): Promise<T> => {
    const parsed = schema.safeParse(await call('GET', path));
    if (parsed.success) return parsed.data;
    throw new PluginError({
      code: 'APTLY_ANSWER_UNKNOWN',
      message: `aptly's ${path.split('?')[0]} answered in a form that pipit does not know: ${describeIssues(parsed.error)}`,
      hint: 'Look whether `api.url` leads to an aptly, and to which version: pipit is tested with 1.5.0.',
      recovery: 'stop',
    });
  };

  const keysOf = async (names: readonly string[]): Promise<readonly string[]> => {
    const found: string[] = [];
    for (const name of names) found.push(...(await ask(packageKeys, `${local}/packages?q=${part(name)}`)));
    return found;
  };

  const firstTime = ({ distribution, architectures }: NewPublication, kind: 'local' | 'snapshot', source: string) => ({
    SourceKind: kind,
    Sources: [{ Component: 'main', Name: source }],
    Distribution: distribution,
    Architectures: architectures,
    Signing: signing,
    ...indexes,
  });

  return {
    async ensureRepo() {
      const repos = await ask(named, 'repos');
      if (!repos.some(({ Name }) => Name === repo)) await call('POST', 'repos', { Name: repo, DefaultComponent: 'main' });
    },
    async addPackage(path) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of shell.read(path)) chunks.push(chunk);
      const boundary = `pipit-${uploadFolder}`;
      const folder = `files/${part(uploadFolder)}`;
      const form = { bytes: fileForm(basename(path), Buffer.concat(chunks), boundary), type: `multipart/form-data; boundary=${boundary}` };
      // Of a call that was killed: aptly would add what lies there too.
      await call('DELETE', folder);
      const uploaded = await send('POST', folder, form);
      if (uploaded.status !== 200) throw failureOf('POST', folder, uploaded);
      try {
        const added = addReport.parse(await call('POST', `${local}/file/${part(uploadFolder)}`));
        // It answers 200 also when it added nothing.
        if ((added.FailedFiles ?? []).length > 0) throw aptlyFailure(`Adding ${basename(path)}`, (added.Report.Warnings ?? []).join('; '));
      } finally {
        if (!signal.aborted) await call('DELETE', folder);
      }
    },
    async removePackages(names) {
      const keys = await keysOf(names);
      if (keys.length > 0) await call('DELETE', `${local}/packages`, { PackageRefs: keys });
    },
    async listPublications() {
      const all = await ask(publications, 'publish');
      return all.flatMap(({ Prefix, Distribution }) => (Prefix === '.' ? [{ distribution: Distribution }] : []));
    },
    publishRepo: async (publication) => void (await call('POST', `publish/${HERE}`, firstTime(publication, 'local', repo))),
    updateRepo: async (distribution) => void (await call('PUT', `publish/${HERE}/${part(distribution)}`, { Signing: signing, ...indexes })),
    publishSnapshot: async (publication) =>
      void (await call('POST', `publish/${HERE}`, firstTime(publication, 'snapshot', publication.snapshot))),
    switchSnapshot: async (distribution, snapshot) =>
      void (await call('PUT', `publish/${HERE}/${part(distribution)}`, {
        Snapshots: [{ Component: 'main', Name: snapshot }],
        Signing: signing,
        ...indexes,
      })),
    dropPublication: async (distribution) => void (await call('DELETE', `publish/${HERE}/${part(distribution)}`)),
    listSnapshots: async () => (await ask(named, 'snapshots')).map(({ Name }) => Name),
    createSnapshot: async (snapshot, names) => {
      const refs = await keysOf(names);
      await call('POST', 'snapshots', { Name: snapshot, SourceSnapshots: [], PackageRefs: refs, Description: 'Offered by pipit' });
    },
    dropSnapshot: async (snapshot) => void (await call('DELETE', `snapshots/${part(snapshot)}?force=1`)),
    cleanUp: async () => void (await call('POST', 'db/cleanup')),
  };
};

/** undefined where the answer is no JSON, as an error page of a proxy is. */
const parseJson = (answer: HttpAnswer): unknown => {
  try {
    return answer.json();
  } catch {
    return undefined;
  }
};
