import type { AppView, RingView } from '@pipit/runtime';
import type { Command } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { withConnection } from '../connect.js';
import { formatAge } from '../render/format-time.js';
import type { Paint } from '../render/paint.js';
import { renderTable } from '../render/table.js';

const STATE_PAINTS = { empty: 'dim', 'rolling-out': 'cyan', verified: 'green', failed: 'red' } as const satisfies Record<
  RingView['state'],
  keyof Paint
>;

const ringCell = (ring: RingView | undefined, now: Date, paint: Paint): string => {
  if (ring === undefined) return '';
  if (ring.version === null) return paint.dim('-');
  const age = ring.since === null ? '' : ` ${formatAge(ring.since, now)}`;
  const behind = ring.behindBy === 0 ? '' : paint.yellow(`, behind by ${ring.behindBy}`);
  return `${ring.version} ${paint[STATE_PAINTS[ring.state]](ring.state)}${age}${behind}`;
};

/** Apps as lines and rings as columns, in the order in which a release goes through them. */
export const renderApps = (apps: readonly AppView[], now: Date, paint: Paint): readonly string[] => {
  const rings = [...new Set(apps.flatMap((app) => app.rings.map(({ ring }) => ring)))];
  return renderTable<AppView>(
    [
      { title: 'APP', cell: ({ app, role }) => (role === 'app' ? app : `${app} (${role})`) },
      ...rings.map((name) => ({
        title: name.toUpperCase(),
        cell: (app: AppView) =>
          ringCell(
            app.rings.find(({ ring }) => ring === name),
            now,
            paint,
          ),
      })),
      {
        title: 'LATEST RUN',
        cell: ({ latestRun }) => (latestRun === null ? '-' : `${latestRun.id} ${latestRun.outcome ?? latestRun.state}`),
      },
    ],
    apps,
    paint,
  );
};

export const addAppsCommand = (program: Command, launch: Launch): void => {
  const command = program.command('apps').description('show what each ring of each app runs: version, state, since when, how far behind');
  addExamples(command, [{ run: 'pipit apps', what: 'one line an app, one column a ring' }]);
  launch(command, (session) =>
    withConnection(session, async ({ api }) => {
      const apps = await api.listApps();
      session.show(apps, () => renderApps(apps, session.world.now(), session.paint));
      if (apps.length === 0) session.note('No apps yet: push a commit to a repository of the config.');
      return undefined;
    }),
  );
};
