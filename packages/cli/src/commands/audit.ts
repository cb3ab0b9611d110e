import type { Api } from '@pipit/runtime';
import type { Command } from 'commander';
import { type AuditRow, FIRST_HASH, followChain } from '../audit-chain.js';
import { addExamples, type Launch } from '../command-line.js';
import { withConnection } from '../connect.js';
import { EXIT } from '../exit-codes.js';
import { mayBeOldFault } from '../old-audit-fault.js';
import { cleanLine } from '../render/clean-text.js';
import type { Paint } from '../render/paint.js';
import { renderTable } from '../render/table.js';
import { addListOptions, type ListOptions, pageQuery } from './runs.js';

/** The largest page. */
const PAGE = 200;

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
}

const explain = ({ faulty, looksLike }: AuditVerdict): readonly string[] => [
  ...(faulty.length === 0
    ? []
    : [
        `  Stored by an earlier pipit with U+FFFD for text that cannot be stored, and not changed since (their hashes fit that text): ${faulty.join(', ')}`,
      ]),
  ...(looksLike === 'unsure'
    ? ['  The line has U+FFFD, as a fault of earlier versions left it, but no lost text that was tried fits its hash. Take it for changed.']
    : []),
];

/** Reads the whole trail and follows its hashes from the first line on. It knows only what is there: keep the last hash elsewhere to notice a cut end. */
export const verifyAudit = async (api: Pick<Api, 'listAudit'>): Promise<AuditVerdict & { readonly lastHash: string }> => {
  const newestFirst: AuditRow[] = [];
  let before: string | undefined;
  do {
    const page = await api.listAudit({ limit: PAGE, ...(before === undefined ? {} : { before }) });
    newestFirst.push(...page.rows);
    before = page.next ?? undefined;
  } while (before !== undefined);
  const rows = newestFirst.reverse();
  const { broken, faulty } = followChain(rows);
  return {
    ok: broken === undefined,
    lines: rows.length,
    brokenAt: broken?.sequence ?? null,
    looksLike: broken === undefined ? null : mayBeOldFault(broken) ? 'unsure' : 'tampering',
    faulty: faulty.map(({ sequence }) => sequence),
    lastHash: rows.at(-1)?.hash ?? FIRST_HASH,
  };
};

export const addAuditCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('audit')
    .description('list the audit trail, newest first: who did what, from where, why')
    .option('--verify', 'check the hash chain of the whole trail; exits with 1 when it is broken');
  addListOptions(command);
  addExamples(command, [
    { run: 'pipit audit', what: 'the last 50 lines' },
    { run: 'pipit audit --verify', what: 'nothing was changed or taken out' },
  ]);
  launch<ListOptions & { readonly verify?: boolean }>(command, (session, { options }) =>
    withConnection(session, async ({ api }) => {
      if (options.verify === true) {
        const verdict = await verifyAudit(api);
        session.show(verdict, () => [
          verdict.ok
            ? `${session.paint.green('✓')} ${verdict.lines} lines, unbroken; the last hash is ${verdict.lastHash}`
            : `${session.paint.red('✗')} The trail is broken at line ${verdict.brokenAt}: it, or a line before it, was changed or taken out`,
          ...explain(verdict),
        ]);
        return verdict.ok ? EXIT.ok : EXIT.failed;
      }
      const page = await api.listAudit(pageQuery(options));
      session.show(page, () => renderAudit(page.rows, session.paint));
      if (page.next !== null) session.note(`More: pipit audit --before ${page.next}`);
      return undefined;
    }),
  );
};
