import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { planStages, type Stage, TABLE_KEYS } from '../src/index.js';
import { policy, World } from './world/world.js';

const page = readFileSync(new URL('../../../docs/run-states.md', import.meta.url), 'utf8');

const subjectOf = (stage: Stage): string =>
  stage.kind === 'operation' ? stage.operation : stage.kind === 'promotion' ? `${stage.from} to ${stage.ring}` : stage.ring;

describe('docs/run-states.md', () => {
  it('shows the stages that a run has', () => {
    const stages = planStages({ kind: 'delivery', rings: [policy('canary'), policy('production')], targetRing: null });
    const rows = stages.map((stage) => `| \`${stage.name}\` | ${stage.kind} | ${subjectOf(stage)} |`);
    const table = ['| stage | kind | works on |', '|---|---|---|', ...rows].join('\n');
    expect(page).toContain(`<!-- stages -->\n${table}\n<!-- /stages -->`);
  });

  it('names every table', () => {
    for (const table of Object.keys(TABLE_KEYS)) expect(page, table).toMatch(new RegExp(`\\b${table}\\b`));
  });

  it('lists the steps that operations take, in their order', async () => {
    const world = new World();
    await world.deliver();
    for (const operation of await world.records.list('operations')) {
      const steps = await world.records.list('steps', { where: { operationId: operation.id }, orderBy: ['position', 'ascending'] });
      expect(page).toContain(`| ${operation.type} | begin, ${steps.map((step) => step.name).join(', ')}, finish |`);
    }
  });
});
