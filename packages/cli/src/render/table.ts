import { visibleLength } from './cut-line.js';
import { type Paint, PLAIN } from './paint.js';

export interface Column<Row> {
  readonly title: string;
  /** Clean text, which may be coloured. */
  readonly cell: (row: Row) => string;
  readonly align?: 'left' | 'right';
}

const GAP = '  ';

const pad = (text: string, width: number, align: Column<unknown>['align']): string => {
  const room = ' '.repeat(Math.max(0, width - visibleLength(text)));
  return align === 'right' ? room + text : text + room;
};

/** Rows as lines under a heading, each column as wide as its widest cell. No rows: no lines. */
export const renderTable = <Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint = PLAIN): readonly string[] => {
  if (rows.length === 0) return [];
  const cells = rows.map((row) => columns.map((column) => column.cell(row)));
  const widths = columns.map((column, at) => Math.max(column.title.length, ...cells.map((line) => visibleLength(line[at] ?? ''))));
  const layOut = (line: readonly string[]): string =>
    line
      .map((text, at) => pad(text, widths[at] ?? 0, columns[at]?.align))
      .join(GAP)
      .trimEnd();
  return [paint.dim(layOut(columns.map((column) => column.title))), ...cells.map(layOut)];
};
