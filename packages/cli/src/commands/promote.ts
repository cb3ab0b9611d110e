import type { Command } from 'commander';
import { addExamples, type Launch, required } from '../command-line.js';
import { type Connection, withConnection } from '../connect.js';
import type { Session } from '../session.js';
import { waitForRun } from './wait-option.js';

export interface ActOptions {
  readonly ring?: string;
  readonly reason?: string;
  readonly wait?: boolean;
}

interface Begun {
  readonly runId: string;
  readonly ring: string;
  readonly version: string;
  /** What the command did beside that. */
  readonly did?: readonly string[];
}

export const didLines = ({ did = [] }: { readonly did?: readonly string[] }): readonly string[] => did.map((each) => `  ${each}`);

/** Tells what was begun; waits for its end when that was asked for, and always when nobody but this process works on it. */
export const finishAct = async (
  session: Session,
  connection: Connection,
  begun: Begun,
  act: { readonly wait: boolean; readonly verb: string; readonly promotedRing?: string },
) => {
  const waits = act.wait || connection.mode === 'embedded';
  const said = `${act.verb} ${begun.ring} to ${begun.version}, run ${begun.runId}`;
  if (!waits) {
    session.show(begun, () => [said, ...didLines(begun)]);
    session.note(`Follow it: pipit run show ${begun.runId} --watch`);
    return undefined;
  }
  for (const line of [said, ...didLines(begun)]) session.note(line);
  const { promotedRing } = act;
  const watched = await waitForRun(session, connection.api, begun.runId, {
    isShown: true,
    ...(promotedRing === undefined ? {} : { promotedRing }),
  });
  if (session.options.json) session.show({ ...begun, run: watched.detail.run }, () => []);
  return watched.exitCode;
};

export const addPromoteCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('promote')
    .argument('<app>', 'for example web')
    .description('give what a ring runs, verified, to the next one; there is no version to choose')
    .option('--ring <ring>', 'the ring that gets it (default: the first whose ring before is ahead of it)')
    .option('--if-canary <version>', 'only if the ring before runs this version; else nothing happens')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--wait', 'wait until the rollout has ended');
  addExamples(command, [
    { run: 'pipit promote web', what: "production gets the canary's release" },
    { run: 'pipit promote web --if-canary 1.4.0-20260301120000.3f2a9c1', what: 'only what you looked at' },
    { run: 'pipit promote web --wait --reason "checked by hand"', what: 'exits as the rollout ended' },
  ]);
  launch<ActOptions & { readonly ifCanary?: string }>(command, (session, { args, options }) =>
    withConnection(session, async (connection) => {
      const { ring, ifCanary, reason } = options;
      await connection.begin();
      const promoted = await connection.api.promote({
        app: required(args, 0),
        ...(ring === undefined ? {} : { ring }),
        ...(ifCanary === undefined ? {} : { ifCanary }),
        ...(reason === undefined ? {} : { reason }),
      });
      return finishAct(session, connection, promoted, { wait: options.wait === true, verb: 'Promoting', promotedRing: promoted.ring });
    }),
  );
};
