/**
 * For what an operation's step stores: the engine's own record of the step follows in the same database, durable, and with it everything that was
 * stored before. When the database's machine dies between the two, both are gone and the step is made again; nothing outside is touched on the
 * word of a step that is not recorded yet.
 */
export const RECORDED_NEXT = { durable: 'soon' } as const;

/** The same for one write alone. */
export const WRITTEN_ONCE = { ...RECORDED_NEXT, oneWrite: true } as const;
