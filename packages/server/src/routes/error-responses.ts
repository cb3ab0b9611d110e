import type { z } from 'zod';
import { errorBody } from '../schemas/view-schemas.js';

type ErrorSchema = typeof errorBody;

/** The same error body for each of these statuses, and for those that every call may answer with. */
export const errorResponses = <S extends number>(...statuses: readonly S[]): Record<S | 500 | 503, ErrorSchema> =>
  // Cast: fromEntries forgets the keys that it was given.
  Object.fromEntries([...statuses, 500, 503].map((status) => [status, errorBody])) as Record<S | 500 | 503, z.ZodType & ErrorSchema>;
