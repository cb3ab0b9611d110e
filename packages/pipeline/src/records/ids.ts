import type { Branded } from '@pipit/core';

/** `<app>-<number>`, for example `web-12`. */
export type RunId = Branded<'RunId'>;
/** `<run>:<stage>:<try>`: made from what the operation is for, so that starting it twice is starting it once. */
export type OperationId = Branded<'OperationId'>;
/** `<app>:<role>:<ring>:<sequence>`. */
export type RolloutId = Branded<'RolloutId'>;
/** Sorts by the time of its making. */
export type EventId = Branded<'EventId'>;

/** No name of an app, role, ring or stage holds it. */
const ROUND_MARK = '~';

// The parts have passed core's parsers, so joining them cannot make two different ids equal (none of them may hold a colon).
export const runIdOf = (app: string, number: number): RunId => `${app}-${number}` as RunId;
export const operationIdOf = (run: RunId, stage: string, attempt: number): OperationId => `${run}:${stage}:${attempt}` as OperationId;
/** The engine's id of one round of an operation. */
export const executionIdOf = ({ id, round }: { readonly id: OperationId; readonly round: number }): string =>
  round === 1 ? id : `${id}${ROUND_MARK}${round}`;
export const operationIdOfExecution = (executionId: string): OperationId => executionId.split(ROUND_MARK, 1)[0] as OperationId;
export const rolloutIdOf = (target: { app: string; role: string; ring: string }, sequence: number): RolloutId =>
  `${target.app}:${target.role}:${target.ring}:${sequence}` as RolloutId;
