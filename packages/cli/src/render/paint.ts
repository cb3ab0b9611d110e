import pc from 'picocolors';

/** Colours of a terminal, or none: every function gives its text back as it was. */
export type Paint = Pick<ReturnType<typeof pc.createColors>, 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan'>;

export const createPaint = (isColoured: boolean): Paint => pc.createColors(isColoured);

export const PLAIN: Paint = createPaint(false);
