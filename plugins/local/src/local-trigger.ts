import { createHash } from 'node:crypto';
import {
  type ChangeEvent,
  type CommitSha,
  type HealthFinding,
  type HookRequest,
  isPluginError,
  type Logger,
  parseCommitSha,
  parseRefName,
  type Received,
  type RepositoryRef,
  type Secret,
  type Trigger,
} from '@pipit/core';
import { mapInTime } from '@pipit/plugin-kit';
import { parsePushBody } from './local-trigger-body.js';
import { type Heads, parseHeadsCursor, readHeads, writeHeadsCursor } from './local-trigger-heads.js';
import { DELIVERY_HEADER, isSignedBy, SIGNATURE_HEADER } from './local-trigger-signature.js';

export interface LocalRepository {
  /** As the config names it, and as the hook says it. */
  readonly name: string;
  /** Absolute, links resolved: the repository's id and what `git fetch` takes. */
  readonly path: string;
  /** Branches that are polled; `*` stands for anything. */
  readonly branches: readonly string[];
}

export interface LocalTriggerOptions {
  readonly repositories: readonly LocalRepository[];
  /** The valid secrets: one, or two while one is being replaced. */
  readonly secrets: readonly Secret[];
  readonly logger: Logger;
}

const NO_COMMIT = /^(?:0{40}|0{64})$/;
/** A UUID, or another id that cannot be guessed by chance. */
const DELIVERY_ID = /^[A-Za-z0-9_-]{16,64}$/;
/** One that hangs keeps none of the others from being looked at. */
const POLL_LIMITS = { atOnce: 32, startWithinMs: 15_000 } as const;
/** Source: {@link ChangeEvent.key}. */
const MAX_KEY_LENGTH = 200;
const MAX_AUTHOR_LENGTH = 200;

const refOf = ({ name, path }: LocalRepository): RepositoryRef => ({ id: path, name, url: path });

const commitOf = (text: string): CommitSha | null => (NO_COMMIT.test(text) ? null : parseCommitSha(text));

/** Shown to people, so no character of it may move a cursor or a line. */
const authorOf = (author: string | undefined): { readonly author?: string } => {
  const shown = author?.replace(/\p{C}/gu, ' ').trim().slice(0, MAX_AUTHOR_LENGTH);
  return shown === undefined || shown === '' ? {} : { author: shown };
};

/** @param move the number of the change that the polls have found: the same move of a ref at a later time has another */
const pollKey = (move: number, name: string, ref: string, after: string | null): string => {
  const key = `poll:${move}:${name}:${ref}:${after ?? 'deleted'}`;
  return key.length <= MAX_KEY_LENGTH ? key : `poll:${createHash('sha256').update(key).digest('hex')}`;
};

/** The pushes between two looks at a repository. */
const changesBetween = (repository: LocalRepository, looks: { readonly before: Heads; readonly after: Heads; readonly moves: number }) => {
  const { before, after, moves } = looks;
  const refs = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().filter((ref) => before[ref] !== after[ref]);
  return refs.map((ref, index): ChangeEvent => {
    const was = before[ref];
    const is = after[ref] ?? null;
    return {
      key: pollKey(moves + index + 1, repository.name, ref, is),
      repository: refOf(repository),
      ref: parseRefName(ref),
      sha: is,
      ...(was === undefined ? {} : { before: was }),
    };
  });
};

/**
 * Pushes to bare git repositories of this machine: told by the signed webhook of `hooks/post-receive`, and found by comparing heads.
 * What a repository is called decides the config alone; nothing of a body becomes a path.
 */
export const createLocalTrigger = ({
  repositories,
  secrets,
  logger,
}: LocalTriggerOptions): {
  readonly trigger: Trigger;
  receive(request: HookRequest): Promise<Received>;
  checkHealth(signal: AbortSignal): Promise<readonly HealthFinding[]>;
} => {
  const receive = async (request: HookRequest): Promise<Received> => {
    if (request.method !== 'POST') return { refused: 'Only POST is understood here', code: 'LOCAL_METHOD_WRONG', status: 400 };
    const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
    if (contentType !== 'application/json')
      return { refused: 'The content type must be application/json', code: 'LOCAL_CONTENT_TYPE', status: 415 };
    const signature = request.headers[SIGNATURE_HEADER];
    if (signature === undefined || signature === '')
      return { refused: `The header ${SIGNATURE_HEADER} is missing`, code: 'LOCAL_SIGNATURE_MISSING', status: 401 };
    if (!isSignedBy(signature, request.body, secrets))
      return { refused: 'The signature does not fit the body and the secret', code: 'LOCAL_SIGNATURE_WRONG', status: 401 };
    const delivery = request.headers[DELIVERY_HEADER] ?? '';
    if (!DELIVERY_ID.test(delivery))
      return { refused: `The header ${DELIVERY_HEADER} must be an id such as a UUID`, code: 'LOCAL_DELIVERY_MISSING', status: 400 };

    const body = parsePushBody(request.body);
    if (body === 'ping') return { accepted: [] };
    if ('problem' in body) return { refused: body.problem, code: 'LOCAL_BODY_BROKEN', status: 400 };
    // Anyone who has seen one delivery could send it again under ids of their own.
    if (body.delivery !== undefined && body.delivery !== delivery)
      return {
        refused: `The header ${DELIVERY_HEADER} is not the id that the body's signature covers`,
        code: 'LOCAL_DELIVERY_WRONG',
        status: 400,
      };
    const repository = repositories.find(({ name }) => name === body.repository.name);
    if (repository === undefined) return { refused: 'The config names no such repository', code: 'LOCAL_REPOSITORY_UNKNOWN', status: 404 };
    try {
      const before = commitOf(body.before);
      const sha = commitOf(body.after);
      if (before === null && sha === null)
        return { refused: 'The body names no commit, neither before nor after', code: 'LOCAL_BODY_BROKEN', status: 400 };
      const event: ChangeEvent = {
        key: body.delivery ?? `body:${createHash('sha256').update(request.body).digest('hex')}`,
        delivery,
        repository: refOf(repository),
        ref: parseRefName(body.ref),
        sha,
        ...(before === null ? {} : { before }),
        ...authorOf(body.author),
      };
      return { accepted: [{ type: 'change', event }] };
    } catch (thrown) {
      if (!isPluginError(thrown)) throw thrown;
      return { refused: thrown.message, code: 'LOCAL_BODY_BROKEN', status: 400 };
    }
  };

  const poll: NonNullable<Trigger['poll']> = async (after, call) => {
    const known = parseHeadsCursor(after) ?? { heads: {}, moves: call.clock.now().getTime() };
    const looks = await mapInTime(repositories, { ...POLL_LIMITS, call }, (repository) => readHeads(repository, call.signal));
    const events: ChangeEvent[] = [];
    const heads: Record<string, Heads> = {};
    for (const [index, repository] of repositories.entries()) {
      const before = known.heads[repository.path];
      const found = looks[index];
      if (found !== undefined && 'problem' in found)
        logger.warn({ repository: repository.name, problem: found.problem }, 'Repository not readable');
      // What cannot be read keeps its place, so that what is pushed meanwhile is reported once it can be read again.
      const now = found !== undefined && 'heads' in found ? found.heads : before;
      if (now !== undefined) heads[repository.path] = now;
      // A repository that was never looked at begins here: its past is no push.
      if (before !== undefined && now !== undefined)
        events.push(...changesBetween(repository, { before, after: now, moves: known.moves + events.length }));
    }
    return { events, cursor: writeHeadsCursor({ heads, moves: known.moves + events.length }) };
  };

  return {
    trigger: {
      poll,
      findRepository: async (named) => {
        const found = repositories.find(({ name, path }) => name === named || path === named);
        return found && refOf(found);
      },
    },
    receive,
    checkHealth: (signal) =>
      Promise.all(
        repositories.map(async (repository) => {
          const found = await readHeads(repository, signal);
          const name = `repository ${repository.name}`;
          if ('problem' in found)
            return {
              name,
              ok: false,
              detail: found.problem,
              hint: `git init --bare ${repository.path}, or correct its path in the config.`,
            };
          return { name, ok: true, detail: `${Object.keys(found.heads).length} polled branch(es) in ${repository.path}` };
        }),
      ),
  };
};
