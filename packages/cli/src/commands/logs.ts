import type { Api, LogView } from '@pipit/runtime';
import type { Command } from 'commander';
import { addExamples, type Launch, required } from '../command-line.js';
import { requireServer, withConnection } from '../connect.js';
import { createLogTail, type LogPieceView } from '../render/log-tail.js';
import { readRunResult } from '../render/run-result.js';
import { watchRun } from '../render/watch-run.js';
import type { Session } from '../session.js';

interface LogsOptions {
  readonly follow?: boolean;
  readonly step?: string;
}

/** While a log is followed nothing of it may fall out of the tail between two looks. */
const FOLLOW_BYTES = 4 * 1024 * 1024;
/** Log lines come without a change of the run. */
const FOLLOW_MS = 500;

/** `install`, or `rollout:canary/install` to name the stage too. */
const parseStep = (text: string | undefined): { readonly stage?: string; readonly step?: string } => {
  if (text === undefined) return {};
  const at = text.lastIndexOf('/');
  return at === -1 ? { step: text } : { stage: text.slice(0, at), step: text.slice(at + 1) };
};

const ofStage = (log: LogView, stage: string | undefined): LogView =>
  stage === undefined ? log : { operations: log.operations.filter((operation) => operation.stage === stage) };

const showLog = async (session: Session, api: Api, runId: string, only: ReturnType<typeof parseStep>): Promise<void> => {
  const log = ofStage(await api.readLog({ runId, ...(only.step === undefined ? {} : { step: only.step }) }), only.stage);
  const tail = createLogTail(session.paint);
  session.show(log, () => [...tail.render(log), ...tail.end()]);
  if (log.operations.every((operation) => operation.pieces.length === 0)) session.note('Nothing was logged.');
};

const followLog = async (session: Session, api: Api, runId: string, only: ReturnType<typeof parseStep>) => {
  const { world, signal, paint, options } = session;
  const tail = createLogTail(paint);
  const look = async (): Promise<void> => {
    const log = ofStage(
      await api.readLog({ runId, maxBytes: FOLLOW_BYTES, ...(only.step === undefined ? {} : { step: only.step }) }),
      only.stage,
    );
    if (options.json) for (const piece of tail.take(log)) session.print(JSON.stringify(piece satisfies LogPieceView));
    else for (const line of tail.render(log)) session.print(line);
  };
  // One look after another: two at once would tell the same twice.
  let looking = Promise.resolve();
  let failure: unknown;
  const lookNext = (): void => {
    looking = looking.then(look).catch((error: unknown) => {
      failure = error;
    });
  };
  const timer = setInterval(lookNext, FOLLOW_MS);
  try {
    const watched = await watchRun(api, runId, world.stdout, { signal, now: () => world.now(), onDetail: lookNext });
    clearInterval(timer);
    lookNext();
    await looking;
    if (failure !== undefined) throw failure;
    for (const line of options.json ? [] : tail.end()) session.print(line);
    return watched;
  } finally {
    clearInterval(timer);
    await looking;
  }
};

export const addLogsCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('logs')
    .argument('<run>', 'for example web-12')
    .description('print what the steps of a run logged: the last 64 KiB of each operation')
    .option('-f, --follow', 'go on until the run has ended or waits for a promotion; exits as the run ended')
    .option('--step <step>', 'only one step, for example install or rollout:canary/install');
  addExamples(command, [
    { run: 'pipit logs web-12', what: 'everything' },
    { run: 'pipit logs -f web-12', what: 'as it comes' },
    { run: 'pipit logs web-12 --step rollout:canary/install', what: 'one step of one stage' },
  ]);
  launch<LogsOptions>(command, (session, { args, options }) =>
    withConnection(session, async (connection) => {
      const { api } = connection;
      const id = required(args, 0);
      const only = parseStep(options.step);
      if (options.follow !== true) {
        await showLog(session, api, id, only);
        return undefined;
      }
      const { run } = await api.showRun(id);
      if (readRunResult(run) === 'under-way') requireServer(connection, id);
      return (await followLog(session, api, id, only)).exitCode;
    }),
  );
};
