import { parseDurationMs } from '@pipit/config';
import type { Api, TokenView } from '@pipit/runtime';
import { type Command, Option } from 'commander';
import { usageError } from '../cli-error.js';
import { addExamples, type Launch, required } from '../command-line.js';
import { withConnection } from '../connect.js';
import { cleanLine } from '../render/clean-text.js';
import type { Paint } from '../render/paint.js';
import { renderTable } from '../render/table.js';

type Preset = Parameters<Api['createToken']>[0]['preset'];

/** As `TOKEN_PRESETS` of the runtime, which is not loaded to parse a command line. */
const PRESETS: Readonly<Record<Preset, string>> = {
  read: 'see everything',
  deliver: 'and promote, roll back, cancel',
  admin: 'and everything else',
};

const NEVER = 'never';

const stateOf = ({ revokedAt, expiresAt }: TokenView, now: Date): string => {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && Date.parse(expiresAt) <= now.getTime() ? 'expired' : 'valid';
};

export const renderTokens = (tokens: readonly TokenView[], paint: Paint, now: Date): readonly string[] =>
  renderTable<TokenView>(
    [
      { title: 'NAME', cell: (token) => token.name },
      { title: 'PRESET', cell: (token) => token.preset },
      { title: 'STATE', cell: (token) => stateOf(token, now) },
      { title: 'EXPIRES', cell: (token) => token.expiresAt ?? NEVER },
      { title: 'LAST USED', cell: (token) => token.lastUsedAt ?? '-' },
      { title: 'MADE BY', cell: (token) => cleanLine(token.createdBy) },
    ],
    tokens,
    paint,
  );

const addCreate = (token: Command, launch: Launch): void => {
  const create = token
    .command('create')
    .argument('<name>', 'lower-case letters, digits, ".", "_" and "-"; stands in the audit trail as token:<name>')
    .description('make a token and print it, this once')
    .addOption(new Option('--preset <preset>', 'what it may do').choices(Object.keys(PRESETS)).makeOptionMandatory())
    .option('--expires <duration>', `for example 90d, at most 365d; or ${NEVER}`, '90d');
  addExamples(create, [
    { run: 'pipit token create grafana --preset read --expires 365d', what: 'to look at everything' },
    { run: 'pipit token create release-bot --preset deliver', what: 'to promote and roll back too, for 90 days' },
  ]);
  launch<{ readonly preset: Preset; readonly expires: string }>(create, (session, { args, options }) =>
    withConnection(session, async ({ api }) => {
      const expiresInMs = options.expires === NEVER ? null : parseDurationMs(options.expires);
      if (expiresInMs === 0) throw usageError('A token that expires at once is of no use', 'Use for example --expires 90d.');
      const made = await api.createToken({ name: required(args, 0), preset: options.preset, expiresInMs });
      session.hide(made.token);
      session.show(made, () => [made.token]);
      session.note(
        `It may ${options.preset === 'read' ? '' : 'see everything, '}${PRESETS[made.preset]}, until ${made.expiresAt ?? 'it is revoked'}. It is not shown again.`,
      );
      return undefined;
    }),
  );
};

const addList = (token: Command, launch: Launch): void => {
  const list = token.command('list').description('list all tokens, oldest first; revoked and expired ones too');
  addExamples(list, [{ run: 'pipit token list', what: 'who may do what, and until when' }]);
  launch(list, (session) =>
    withConnection(session, async ({ api }) => {
      const tokens = await api.listTokens();
      session.show(tokens, () => renderTokens(tokens, session.paint, session.world.now()));
      return undefined;
    }),
  );
};

const addRevoke = (token: Command, launch: Launch): void => {
  const revoke = token.command('revoke').argument('<name>', 'as `pipit token list` has it').description('end a token at once, for good');
  addExamples(revoke, [{ run: 'pipit token revoke release-bot', what: 'its next request is refused' }]);
  launch(revoke, (session, { args }) =>
    withConnection(session, async ({ api }) => {
      const revoked = await api.revokeToken({ name: required(args, 0) });
      session.show(revoked, () => [`${session.paint.green('✓')} ${revoked.name} is revoked`]);
      return undefined;
    }),
  );
};

export const addTokenCommand = (program: Command, launch: Launch): void => {
  const token = program.command('token').description('tokens of the API: who may do what, and until when');
  addExamples(token, [{ run: 'pipit token create grafana --preset read', what: 'a token that may see everything' }]);
  addCreate(token, launch);
  addList(token, launch);
  addRevoke(token, launch);
};
