const format = (value) => {
  if (typeof value !== 'number') return String(value);
  if (Number.isNaN(value)) return '-';
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
};

export const heading = (title, text) => console.log(`\n== ${title}\n${text}\n`);

/** Rows of a name and values under the columns' names. */
export const table = (columns, rows) => {
  const lines = [columns, ...rows.map((row) => row.map(format))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => String(line[index]).length)));
  for (const line of lines)
    console.log(
      `  ${line.map((cell, index) => (index === 0 ? String(cell).padEnd(widths[index]) : String(cell).padStart(widths[index]))).join('  ')}`,
    );
  console.log('');
};

/** One aim: what was measured, what it should be, whether it is. */
export const aim = (what, value, unit, { atMost, atLeast }) => {
  const met = atMost === undefined ? value >= atLeast : value <= atMost;
  const limit = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  console.log(`  ${met ? 'met    ' : 'NOT MET'}  ${what}: ${format(value)}${unit} (aim: ${limit}${unit})`);
};

export const note = (text) => console.log(`  ${text}`);
