import type { AppRow, RunRow } from '@pipit/pipeline';

/** A run for anyone: what it delivers and how far it is, and nothing that names hosts or people, or that a program printed. */
export const publicRun = (run: RunRow): RunRow => ({
  ...run,
  repository: { id: '', name: run.repository.name, url: '' },
  author: null,
  actor: null,
  eventId: null,
  health: null,
  metadata: null,
  reason: null,
  failure: null,
  cancelRequestedBy: null,
});

export const publicApp = <App extends AppRow & { readonly latestRun: RunRow | null }>(app: App): App => ({
  ...app,
  repositoryId: '',
  latestRun: app.latestRun === null ? null : publicRun(app.latestRun),
});
