/** How many characters to insert, delete, replace or swap with the next (optimal string alignment). */
const editDistance = (a: string, b: string): number => {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    rows.push(current);
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwapped ? at(i - 2, j - 2) + 1 : replaced;
      current.push(Math.min(replaced, swapped, at(i - 1, j) + 1, at(i, j - 1) + 1));
    }
  }
  return at(a.length, b.length);
};

/** No name of a config is longer; a longer one is not a typo. */
const MAX_NAME_LENGTH = 100;

/** The known name that was probably meant: at most a third of its characters differ. */
export const closestName = (name: string, known: readonly string[]): string | undefined => {
  if (name.length > MAX_NAME_LENGTH) return undefined;
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    const allowed = Math.max(1, Math.floor(Math.max(name.length, candidate.length) / 3));
    if (distance <= allowed && (best === undefined || distance < best.distance)) best = { name: candidate, distance };
  }
  return best?.name;
};

/** A hint for a name that is not known. */
export const didYouMean = (name: string, known: readonly string[]): string | undefined => {
  const closest = closestName(name, known);
  if (closest !== undefined) return `Did you mean ${JSON.stringify(closest)}?`;
  return known.length === 0 ? undefined : `Known here: ${known.join(', ')}.`;
};
