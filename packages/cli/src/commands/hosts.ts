import type { HostView } from '@pipit/runtime';
import type { Command } from 'commander';
import { addExamples, type Launch, required } from '../command-line.js';
import { withConnection } from '../connect.js';
import { cleanLine } from '../render/clean-text.js';
import type { Paint } from '../render/paint.js';
import { shortDigest } from '../render/run-entries.js';
import { renderTable } from '../render/table.js';

const health = ({ report }: HostView, paint: Paint): string => {
  if (report === null || !report.reachable) return paint.yellow('unreachable');
  if (report.busy === true) return paint.yellow('busy');
  if (report.healthy === undefined) return 'not asked';
  return report.healthy ? paint.green('healthy') : paint.red('unhealthy');
};

const installed = ({ report }: HostView): string =>
  report?.foreign === undefined ? (report?.installed?.version ?? '-') : `${cleanLine(report.foreign.version)} (not pipit's)`;

const drift = (host: HostView, paint: Paint): string => {
  if (host.converged) return paint.green('no');
  if (host.report === null || !host.report.reachable) return paint.yellow('unknown');
  return host.advertised === null && host.report.installed === undefined ? '-' : paint.red('yes');
};

const why = ({ available, reason, report }: HostView): string =>
  cleanLine(
    [
      ...(available ? [] : [reason ?? 'not available']),
      report?.foreign === undefined ? '' : `${report.foreign.name} ${report.foreign.version} stands there and is not pipit's`,
      report?.error?.message ?? report?.raw ?? '',
    ]
      .filter((text) => text !== '')
      .join('; '),
  );

export const renderHosts = (hosts: readonly HostView[], paint: Paint): readonly string[] =>
  renderTable<HostView>(
    [
      { title: 'RING', cell: (host) => host.ring },
      { title: 'HOST', cell: (host) => cleanLine(host.hostId) },
      { title: 'ADDRESS', cell: (host) => cleanLine(host.address) },
      { title: 'INSTALLED', cell: (host) => installed(host) },
      { title: 'DIGEST', cell: (host) => (host.report?.installed?.digest === undefined ? '-' : shortDigest(host.report.installed.digest)) },
      { title: 'SEQ', cell: (host) => `${host.report?.installed?.sequence ?? '-'}`, align: 'right' },
      {
        title: 'ADVERTISED',
        cell: (host) => (host.advertised === null ? '-' : `${host.advertised.version} (${host.advertised.sequence})`),
      },
      { title: 'HEALTH', cell: (host) => health(host, paint) },
      { title: 'DRIFT', cell: (host) => drift(host, paint) },
      { title: 'WHY', cell: why },
    ],
    hosts,
    paint,
  );

export const addHostsCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('hosts')
    .argument('<app>', 'for example web')
    .description('ask the hosts of an app what they run: installed and advertised version, receipt, health, drift')
    .option('--role <role>', 'only those of one role');
  addExamples(command, [
    { run: 'pipit hosts web', what: 'every host of every ring' },
    { run: "pipit hosts web --json | jq '.[] | select(.converged | not)'", what: 'those that drifted' },
  ]);
  launch<{ readonly role?: string }>(command, (session, { args, options }) =>
    withConnection(session, async ({ api }) => {
      const app = required(args, 0);
      const hosts = await api.listHosts({ app, ...(options.role === undefined ? {} : { role: options.role }) });
      session.show(hosts, () => renderHosts(hosts, session.paint));
      if (hosts.length === 0) session.note(`Discovery knows no host of ${app}.`);
      return undefined;
    }),
  );
};
