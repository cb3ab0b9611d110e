/** Doubling from the first wait up to the longest, with jitter between half and the whole, so that many who wait do not come back together. */
export const backoffMs = (
  attempt: number,
  random: () => number,
  options: { readonly firstMs: number; readonly longestMs: number },
): number => {
  const whole = Math.min(options.longestMs, options.firstMs * 2 ** (attempt - 1));
  return Math.round(whole / 2 + (whole / 2) * random());
};
