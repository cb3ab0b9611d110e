/** These are plain files beside `src` and `dist`, so that a thread loads the same one from either. */
export const PARSE_YAML_WORKER = new URL('../worker/parse-yaml.mjs', import.meta.url);
export const EVALUATE_RULE_WORKER = new URL('../worker/evaluate-rule.mjs', import.meta.url);
