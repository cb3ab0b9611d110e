import type { Api } from '@pipit/runtime';
import type { Command } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { withConnection } from '../connect.js';
import { cleanLine } from '../render/clean-text.js';
import type { Paint } from '../render/paint.js';
import { renderTable } from '../render/table.js';
import { addListOptions, type ListOptions, pageQuery } from './runs.js';

type EventRow = Awaited<ReturnType<Api['listEvents']>>['rows'][number];

export const renderEvents = (events: readonly EventRow[], paint: Paint): readonly string[] =>
  renderTable<EventRow>(
    [
      { title: 'RECEIVED', cell: (event) => event.receivedAt },
      { title: 'INSTANCE', cell: (event) => event.instance },
      { title: 'TYPE', cell: (event) => event.type },
      { title: 'STATE', cell: (event) => event.state },
      { title: 'RUN', cell: (event) => event.runId ?? '-' },
      { title: 'OUTCOME', cell: (event) => cleanLine(event.outcome ?? '') },
    ],
    events,
    paint,
  );

export const addEventsCommand = (program: Command, launch: Launch): void => {
  const command = program.command('events').description('list what the outside told, newest first, and what became of it');
  addListOptions(command);
  addExamples(command, [
    { run: 'pipit events', what: 'why a push started nothing stands here' },
    { run: 'pipit events -n 200 --json', what: 'whole' },
  ]);
  launch<ListOptions>(command, (session, { options }) =>
    withConnection(session, async ({ api }) => {
      const page = await api.listEvents(pageQuery(options));
      session.show(page, () => renderEvents(page.rows, session.paint));
      if (page.rows.length === 0) session.note('Nothing was told yet.');
      if (page.next !== null) session.note(`More: pipit events --before ${page.next}`);
      return undefined;
    }),
  );
};
