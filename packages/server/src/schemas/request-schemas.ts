import { z } from 'zod';
import { tokenPreset } from './primitive-schemas.js';
import { RUN_STATES } from './row-schemas.js';

/** Longer than any name or id of pipit's. */
const MAX_NAME_LENGTH = 300;
/** One row of the audit trail holds it. */
const MAX_REASON_LENGTH = 1000;
/** A step's log is capped; this is above the cap. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;

/** What no name of pipit's has, and no program's argument and no database takes: control characters, halves of a character. */
const UNNAMABLE = /[\p{Cc}\p{Surrogate}]/u;
const nameOf = (maxLength: number) =>
  z
    .string()
    .min(1)
    .max(maxLength)
    .refine((value) => !UNNAMABLE.test(value), 'Must not have control characters or halves of characters');
const name = nameOf(MAX_NAME_LENGTH);
const reason = z.string().max(MAX_REASON_LENGTH);

const page = {
  limit: z.coerce.number().int().min(1).max(200).exactOptional().describe('Rows of a page; 50 unless given'),
  before: name.exactOptional().describe('`next` of the page before'),
};

export const pageQuery = z.strictObject(page);
export const runsQuery = z.strictObject({ ...page, app: name.exactOptional(), state: z.enum(RUN_STATES).exactOptional() });
export const noQuery = z.strictObject({});
export const hostsQuery = z.strictObject({ role: name.exactOptional() });
export const planQuery = z.strictObject({
  repository: nameOf(2000).describe('Name or URL of the repository'),
  ref: name,
  commit: name.exactOptional(),
});
export const logQuery = z.strictObject({
  operationId: name.exactOptional(),
  step: name.exactOptional(),
  maxBytes: z.coerce
    .number()
    .int()
    .min(1)
    .max(MAX_LOG_BYTES)
    .exactOptional()
    .describe("Bytes of each operation's tail; 64 KiB unless given"),
});
export const changesQuery = z.strictObject({
  runId: name.exactOptional().describe('Only changes of this run'),
  after: name.exactOptional().describe('As Last-Event-ID, which wins'),
});

export const appParams = z.object({ app: name });
export const runParams = z.object({ id: name });
export const eventParams = z.object({ id: name });
export const hookParams = z.object({ instance: name });

export const tokenParams = z.object({ name });

export const noBody = z.strictObject({});
export const tokenBody = z.strictObject({
  name,
  preset: tokenPreset,
  expiresInMs: z.int().min(1).exactOptional().describe('Milliseconds from now; never, unless given'),
});
export const promoteBody = z.strictObject({
  role: name.exactOptional(),
  ring: name.exactOptional().describe('The ring to feed; the first that is behind the one before it, unless given'),
  ifCanary: name.exactOptional().describe('The version seen in the ring before; another one there is a conflict'),
  reason: reason.exactOptional(),
});
export const rollbackBody = z.strictObject({ role: name.exactOptional(), ring: name.exactOptional(), reason: reason.exactOptional() });
export const cancelBody = z.strictObject({ reason: reason.exactOptional() });
export const retryBody = z.strictObject({ reason: reason.exactOptional() });
export const reconcileBody = z.strictObject({ reason: reason.min(1) });
