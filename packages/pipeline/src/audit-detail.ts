import { type Json, storableJson, storableText } from '@pipit/core';

/** A reason and some names fit many times over. */
const MAX_DETAIL_LENGTH = 64 * 1024;
const MAX_DETAIL_DEPTH = 32;
/** What is shown of a detail that is too large. */
const MAX_CUT_LENGTH = 4_000;

/** How deep JSON's brackets are nested; those within its texts count too, which only errs towards more. */
const depthOf = (json: string): number => {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of json.matchAll(/[[{\]}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
};

/**
 * The detail of an audit line as every database gives it back: plain JSON (no `undefined`, no `-0`, no `NaN`), texts and names storable, bounded
 * in size and depth. One that is too large becomes its beginning and its length.
 */
export const storableDetail = (detail: Json): Json => {
  const json = storableJson(detail);
  if (json.length <= MAX_DETAIL_LENGTH && depthOf(json) <= MAX_DETAIL_DEPTH) return JSON.parse(json) as Json; // just made of JSON
  return { cut: storableText(json.slice(0, MAX_CUT_LENGTH)), length: json.length };
};
