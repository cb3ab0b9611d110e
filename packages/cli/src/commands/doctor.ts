import { formatProblems } from '@pipit/config';
import type { Finding } from '@pipit/runtime';
import type { Command } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { locateConfig, readConfig } from '../config-file.js';
import { connect } from '../connect.js';
import { EXIT } from '../exit-codes.js';
import { cleanBlock, cleanLine } from '../render/clean-text.js';
import type { Paint } from '../render/paint.js';
import { describeError } from '../report-error.js';
import type { Session } from '../session.js';

export const renderFindings = (findings: readonly Finding[], paint: Paint): readonly string[] =>
  findings.flatMap(({ instance, name, ok, detail, hint }) => [
    `${ok ? paint.green('✓ ok  ') : paint.red('✗ FAIL')}  ${cleanLine(instance)}: ${cleanLine(name)}${detail === undefined ? '' : `  ${cleanBlock(detail).replaceAll('\n', '\n          ')}`}`,
    ...(ok || hint === undefined ? [] : [`          ${paint.cyan('do')}: ${cleanLine(hint)}`]),
  ]);

const checkConfig = async (session: Session): Promise<Finding> => {
  const result = await readConfig(session);
  const file = locateConfig(session);
  if (result.ok) return { instance: 'pipit', name: 'config', ok: true, detail: file };
  return {
    instance: 'pipit',
    name: 'config',
    ok: false,
    detail: formatProblems(result.problems),
    hint: 'Correct the file; `pipit check` tells the same.',
  };
};

const failedFinding = (name: string, error: unknown): Finding => {
  const { code, message, hint } = describeError(error);
  return { instance: 'pipit', name, ok: false, detail: `${message} [${code}]`, ...(hint === undefined ? {} : { hint }) };
};

/** The checks of the command itself, then those of pipit and its plugins. What fails is a finding, so that the rest is still told. */
const examine = async (session: Session): Promise<readonly Finding[]> => {
  const { world, options } = session;
  const findings: Finding[] = [];
  // A server that is named by its address has its config elsewhere.
  if ((options.server ?? world.environment.PIPIT_SERVER) === undefined) {
    const config = await checkConfig(session).catch((error: unknown) => failedFinding('config', error));
    findings.push(config);
    if (!config.ok) return findings;
  }
  try {
    const connection = await connect(session, { mayMakeData: true });
    try {
      const detail = connection.mode === 'server' ? 'asked the running server' : 'no server runs; asked from this process';
      findings.push({ instance: 'pipit', name: 'connection', ok: true, detail });
      findings.push(...(await connection.api.doctor()));
    } finally {
      await connection.close();
    }
  } catch (error) {
    findings.push(failedFinding('connection', error));
  }
  return findings;
};

export const addDoctorCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('doctor')
    .description('check pipit and every plugin, each check named: ok, or what to do; exits with 1 when one is not ok');
  addExamples(command, [
    { run: 'pipit doctor', what: 'before the first push, and when something is odd' },
    { run: "pipit doctor --json | jq '.[] | select(.ok | not)'", what: 'for monitoring' },
  ]);
  launch(command, async (session) => {
    const findings = await examine(session);
    session.show(findings, () => renderFindings(findings, session.paint));
    return findings.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed;
  });
};
