import type { Command } from 'commander';
import { type AuditRow, FIRST_HASH, followChain } from '../audit-chain.js';
import { type AuditCopy, readCopy, readText, readTrail, renderCopy } from '../audit-copy.js';
import { type HeadsVerdict, parsePublicKey, verifyHeads } from '../audit-heads.js';
import { usageError } from '../cli-error.js';
import { addExamples, type Launch } from '../command-line.js';
import { withConnection } from '../connect.js';
import { EXIT, type ExitCode } from '../exit-codes.js';
import { mayBeOldFault } from '../old-audit-fault.js';
import { cleanLine } from '../render/clean-text.js';
import type { Paint } from '../render/paint.js';
import { renderTable } from '../render/table.js';
import type { Session } from '../session.js';
import { addListOptions, type ListOptions, pageQuery } from './runs.js';

export const renderAudit = (rows: readonly AuditRow[], paint: Paint): readonly string[] =>
  renderTable<AuditRow>(
    [
      { title: 'SEQ', cell: (row) => `${row.sequence}`, align: 'right' },
      { title: 'AT', cell: (row) => row.at },
      { title: 'WHO', cell: (row) => cleanLine(row.actor) },
      { title: 'FROM', cell: (row) => cleanLine(row.origin) },
      { title: 'ACTION', cell: (row) => row.action },
      { title: 'SUBJECT', cell: (row) => cleanLine(row.subject) },
      { title: 'DETAIL', cell: (row) => (row.detail === null ? '' : cleanLine(JSON.stringify(row.detail))) },
    ],
    rows,
    paint,
  );

export interface AuditVerdict {
  readonly ok: boolean;
  readonly lines: number;
  /** The sequence of the first line that does not fit. */
  readonly brokenAt: number | null;
  /** What the break looks like: `tampering`; or `unsure` where the line has U+FFFD, which a fault of earlier versions left too. */
  readonly looksLike: 'tampering' | 'unsure' | null;
  /** Sequences of lines that a fault of earlier versions stored with U+FFFD; their hashes prove that nobody changed them. */
  readonly faulty: readonly number[];
  readonly heads: HeadsVerdict;
  readonly lastHash: string;
}

interface Head {
  readonly sequence: number;
  readonly hash: string;
}

/** What must be true of a trail beside its own hashes: the keys that signed it, and heads that were kept elsewhere. */
interface Expected {
  readonly publicKeys: readonly string[];
  readonly heads: readonly Head[];
}

/** Follows the trail's hashes from the first line on, and checks its heads. */
export const verifyAudit = ({ rows, heads }: AuditCopy, expected: Expected): AuditVerdict => {
  const { broken, faulty } = followChain(rows);
  const signed = verifyHeads(rows, heads, expected.publicKeys);
  const kept = expected.heads.flatMap(({ sequence, hash }) => {
    const line = rows.find((row) => row.sequence === sequence);
    if (line === undefined) return [`line ${sequence} is gone, which a head that was kept elsewhere names`];
    return line.hash === hash ? [] : [`line ${sequence} is not the one that a head that was kept elsewhere names`];
  });
  const problems = [...signed.problems, ...kept];
  return {
    ok: broken === undefined && problems.length === 0,
    lines: rows.length,
    brokenAt: broken?.sequence ?? null,
    looksLike: broken === undefined ? null : mayBeOldFault(broken) ? 'unsure' : 'tampering',
    faulty: faulty.map(({ sequence }) => sequence),
    heads: { ...signed, problems },
    lastHash: rows.at(-1)?.hash ?? FIRST_HASH,
  };
};

const explain = ({ faulty, looksLike, heads }: AuditVerdict, hasKey: boolean): readonly string[] => [
  ...(faulty.length === 0
    ? []
    : [
        `  Stored by an earlier pipit with U+FFFD for text that cannot be stored, and not changed since (their hashes fit that text): ${faulty.join(', ')}`,
      ]),
  ...(looksLike === 'unsure'
    ? ['  The line has U+FFFD, as a fault of earlier versions left it, but no lost text that was tried fits its hash. Take it for changed.']
    : []),
  ...(heads.signedUpTo === null
    ? []
    : [`  Signed up to line ${heads.signedUpTo}${hasKey ? '' : ', by keys that only the trail itself names: give --public-key'}`]),
];

const renderVerdict = (verdict: AuditVerdict, hasKey: boolean, paint: Paint): readonly string[] => [
  ...(verdict.brokenAt === null
    ? []
    : [`${paint.red('✗')} The trail is broken at line ${verdict.brokenAt}: it, or a line before it, was changed or taken out`]),
  ...verdict.heads.problems.map((problem) => `${paint.red('✗')} ${problem.charAt(0).toUpperCase()}${problem.slice(1)}`),
  ...(verdict.ok ? [`${paint.green('✓')} ${verdict.lines} lines, unbroken; the last hash is ${verdict.lastHash}`] : []),
  ...explain(verdict, hasKey),
];

interface AuditOptions extends ListOptions {
  readonly verify?: string | true;
  readonly export?: true;
  readonly publicKey?: readonly string[];
  readonly head?: readonly string[];
}

const parseHead = (text: string): Head => {
  const [, sequence, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (sequence === undefined || hash === undefined)
    throw usageError(`${text} is no head`, 'Give a line and its hash, as the log has them: 120:3b1f...');
  return { sequence: Number(sequence), hash };
};

const readPublicKey = async (path: string): Promise<string> => {
  const pem = await readText(path);
  try {
    parsePublicKey(pem);
    return pem;
  } catch {
    throw usageError(`${path} is no ed25519 public key in PEM`, 'It is keys/audit-key.pub.pem in the data folder.');
  }
};

const verify = async (session: Session, options: AuditOptions): Promise<ExitCode> => {
  const publicKeys = await Promise.all((options.publicKey ?? []).map(readPublicKey));
  const expected = { publicKeys, heads: (options.head ?? []).map(parseHead) };
  const judge = (copy: AuditCopy): ExitCode => {
    const verdict = verifyAudit(copy, expected);
    session.show(verdict, () => renderVerdict(verdict, publicKeys.length > 0, session.paint));
    return verdict.ok ? EXIT.ok : EXIT.failed;
  };
  // A copy verifies by itself: neither a server nor a data folder is needed.
  if (typeof options.verify === 'string') return judge(await readCopy(options.verify));
  return withConnection(session, async ({ api }) => judge(await readTrail(api)));
};

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export const addAuditCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('audit')
    .description('list the audit trail, newest first: who did what, from where, why')
    .option('--verify [file]', 'check the hashes and signed heads of the whole trail, or of a copy; exits with 1 when they do not fit')
    .option('--public-key <file>', 'with --verify: the key that must have signed it; may be repeated', collect)
    .option('--head <line:hash>', 'with --verify: a head that was kept elsewhere, which it must have; may be repeated', collect)
    .option('--export', 'print the whole trail and its heads as JSON lines, a copy that verifies by itself');
  addListOptions(command);
  addExamples(command, [
    { run: 'pipit audit', what: 'the last 50 lines' },
    { run: 'pipit audit --verify', what: 'nothing was changed or taken out' },
    { run: 'pipit audit --export > trail.jsonl', what: 'a copy' },
    { run: 'pipit audit --verify trail.jsonl --public-key audit-key.pub.pem', what: 'the copy is what pipit signed' },
  ]);
  launch<AuditOptions>(command, async (session, { options }) => {
    if (options.verify !== undefined) return verify(session, options);
    if (options.publicKey !== undefined || options.head !== undefined) throw usageError('--public-key and --head go with --verify');
    return withConnection(session, async ({ api }) => {
      if (options.export === true) {
        for (const line of renderCopy(await readTrail(api))) session.print(line);
        return undefined;
      }
      const page = await api.listAudit(pageQuery(options));
      session.show(page, () => renderAudit(page.rows, session.paint));
      if (page.next !== null) session.note(`More: pipit audit --before ${page.next}`);
      return undefined;
    });
  });
};
