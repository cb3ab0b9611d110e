import { dirname, resolve } from 'node:path';
import type { Json } from '@pipit/core';
import type { Document } from 'yaml';
import { buildConfig, type SlotsOfPipeline } from './build-config.js';
import { checkWrittenExpression } from './check-expression.js';
import { checkRings } from './check-rings.js';
import { checkShadowedPipelines } from './check-shadowed-pipelines.js';
import { type CheckedSlot, checkSlot, defaultAdvertiser, defaultTransport, type SlotContext } from './check-slots.js';
import type { Config, InstanceConfig } from './config.js';
import { type ConfigProblem, orderProblems } from './config-problem.js';
import { coreConfigSchema, NEEDED_SLOTS } from './core-schema.js';
import { findLiteralSecrets, revealSecrets } from './find-literal-secrets.js';
import { findHiddenValues } from './hidden-values.js';
import { type LoadedInstance, loadInstances, readInstances, readSlots, type WrittenSlot } from './instances.js';
import { laterKeyProblem } from './later-keys.js';
import { parseYaml, withoutQuotes } from './parse-yaml.js';
import type { LoadPlugin } from './plugin-loader.js';
import { createProblemReport, type ProblemReport } from './problem-report.js';
import { isPublicReference } from './public-reference.js';
import { createRedaction, redactProblem } from './redact-problem.js';
import { type ReadFile, resolveReferences, systemCode } from './resolve-references.js';
import { describeSchema, isMapping } from './schema-shape.js';
import { readSourceTree, type SourceTree } from './source-tree.js';
import { reportIssues, validateSection } from './validate-section.js';

export interface LoadConfigOptions {
  /** The config file's path: its folder is where `$file`, `./plugin.js` and `dataFolder` start. */
  readonly file: string;
  /** The file's content; read with {@link LoadConfigOptions.readFile} when it is not given. */
  readonly text?: string;
  /** What `{ $env }` refers to. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly readFile: ReadFile;
  readonly loadPlugin: LoadPlugin;
  /** Called with every text that a reference gave, and with every secret found written in the file, before anything else is said about it. */
  readonly redact: (text: string) => void;
  /** Called, once the config is valid, with those of these texts that are no secret after all: see {@link isPublicReference}. */
  readonly reveal?: (text: string) => void;
}

export type LoadConfigResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly ConfigProblem[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** Everything that the checks share. */
interface Loading {
  readonly options: LoadConfigOptions;
  readonly text: string;
  readonly tree: SourceTree;
  readonly report: ProblemReport;
  readonly secrets: Set<string>;
}

const failure = (problems: readonly ConfigProblem[]): LoadConfigResult => ({ ok: false, problems: orderProblems(problems) });

const reportTree = (document: Document, { tree, report }: Loading, warnings: ProblemReport): void => {
  for (const problem of tree.problems) report.addAtOffset(problem.offset, problem.path, problem);
  for (const warning of document.warnings)
    warnings.addAtOffset(warning.pos[0], [], { code: 'CONFIG_SYNTAX', message: withoutQuotes(warning.message) });
};

const checkCore = ({ tree, report }: Loading) => {
  const root = tree.resolved.root ?? {};
  const result = coreConfigSchema.safeParse(root);
  if (result.success) return result.data;
  const shape = describeSchema(coreConfigSchema);
  const withLaterKeys: ProblemReport = {
    ...report,
    addAtKey: (path, problem) => report.addAtKey(path, problem.code === 'UNKNOWN_KEY' ? (laterKeyProblem(path) ?? problem) : problem),
  };
  reportIssues(result.error.issues, { path: [], value: root, tree, report: withLaterKeys }, shape, false);
  return undefined;
};

/** A Secret whose text stands in the file is an error, and from now on nobody shows that text. */
const checkSecrets = (output: unknown, path: readonly (string | number)[], { tree, report, secrets, options }: Loading): void => {
  for (const entry of findLiteralSecrets(output, path, tree.entries)) {
    const secret = String(entry.literal);
    if (secret !== '') {
      secrets.add(secret);
      options.redact(secret);
    }
    report.add(entry.path, {
      code: 'SECRET_IN_CONFIG',
      message: 'A secret stands in the config file as text',
      expected: '{ $env: NAME } or { $file: path }',
      hint: 'Move it to an environment variable or a file, and change it: this file may have been copied.',
    });
  }
};

const checkInstance = async (instance: LoadedInstance, loading: Loading): Promise<InstanceConfig | undefined> => {
  const path = instance.isDeclared ? [...instance.path, 'with'] : instance.path;
  const hint = instance.isDeclared ? undefined : `Declare it: plugins: { ${instance.name}: { uses: "${instance.uses}", with: { ... } } }`;
  const section = { path, value: instance.config, tree: loading.tree, report: loading.report, ...(hint === undefined ? {} : { hint }) };
  const result = await validateSection(instance.plugin.config, section);
  if (result === undefined) return undefined;
  if (instance.isDeclared) checkSecrets(result.output, path, loading);
  return { uses: instance.uses, plugin: instance.plugin, config: result.output };
};

const checkSlots = async (slots: readonly WrittenSlot[], context: SlotContext, loading: Loading): Promise<readonly CheckedSlot[]> => {
  const checked: CheckedSlot[] = [];
  for (const slot of slots) {
    const found = await checkSlot(slot, context);
    if (found === undefined) continue;
    checkSecrets(found.output, [...slot.path, 'with'], loading);
    checked.push(found);
  }
  for (const slot of slots.filter(({ kind }) => kind === 'discovery')) {
    if (slots.some((other) => other.kind === 'advertiser' && other.pipeline === slot.pipeline)) continue;
    const advertiser = await defaultAdvertiser(slot, context);
    if (advertiser !== undefined) checked.push(advertiser);
  }
  for (const pipeline of new Set(slots.map((slot) => slot.pipeline))) {
    const own = slots.filter((slot) => slot.pipeline === pipeline);
    const transport = await defaultTransport(own, context);
    if (transport !== undefined) checked.push(transport);
  }
  return checked;
};

const checkPipelines = ({ tree, report, text }: Loading): void => {
  const root = tree.resolved.root;
  const pipelines = isMapping(root) && isMapping(root.pipelines) ? root.pipelines : {};
  for (const [name, pipeline] of Object.entries(pipelines)) {
    if (!isMapping(pipeline)) continue;
    checkRings(pipeline.rings, ['pipelines', name, 'rings'], report);
    if (isMapping(pipeline.trigger))
      checkWrittenExpression({ expression: pipeline.trigger.when, path: ['pipelines', name, 'trigger', 'when'], tree, text, report });
  }
};

const groupSlots = (checked: readonly CheckedSlot[]): ReadonlyMap<string, SlotsOfPipeline> => {
  const groups = new Map<string, Partial<SlotsOfPipeline>>();
  for (const slot of checked) {
    const own = groups.get(slot.pipeline) ?? { notify: [] };
    groups.set(slot.pipeline, slot.kind === 'notifier' ? { ...own, notify: [...(own.notify ?? []), slot] } : { ...own, [slot.kind]: slot });
  }
  const isWhole = (slots: Partial<SlotsOfPipeline>): slots is SlotsOfPipeline => NEEDED_SLOTS.every((kind) => slots[kind] !== undefined);
  return new Map([...groups].flatMap(([name, slots]) => (isWhole(slots) ? [[name, slots]] : [])));
};

const readText = async ({ file, text, readFile }: LoadConfigOptions): Promise<string | ConfigProblem> => {
  if (text !== undefined) return text;
  try {
    return await readFile(file);
  } catch (error) {
    return {
      file,
      line: 1,
      column: 1,
      path: '',
      code: 'CONFIG_UNREADABLE',
      message: `The config file cannot be read (${systemCode(error)})`,
      hint: 'Name another file, or write one with pipit init.',
    };
  }
};

/**
 * Reads a config file: parses the YAML, resolves references, loads the plugins, validates with pipit's schema and theirs.
 * All problems are returned together, in the file's order; nothing is thrown for what a file can hold, and no secret is in any of them.
 */
export const loadConfig = async (options: LoadConfigOptions): Promise<LoadConfigResult> => {
  const { file } = options;
  const text = await readText(options);
  if (typeof text !== 'string') return failure([text]);
  const parsed = parseYaml(file, text);
  if ('problems' in parsed) return failure(parsed.problems);
  const { document } = parsed;

  const tree = readSourceTree(document);
  const hidden = findHiddenValues(document, tree, describeSchema(coreConfigSchema) ?? {});
  const report = createProblemReport({ file, text, entries: tree.entries, hidden });
  const warnings = createProblemReport({ file, text, entries: tree.entries, hidden });
  const loading: Loading = { options, text, tree, report, secrets: new Set() };
  reportTree(document, loading, warnings);
  const onResolved = (secret: string): void => {
    loading.secrets.add(secret);
    options.redact(secret);
  };
  await resolveReferences({ tree, file, environment: options.environment, readFile: options.readFile, report, onResolved });

  const core = checkCore(loading);
  if (core !== undefined) checkSecrets(core.database, ['database'], loading);
  if (core !== undefined) checkSecrets(core.audit, ['audit'], loading);
  checkPipelines(loading);
  checkShadowedPipelines(tree.resolved.root, warnings);

  const slots = readSlots(tree.resolved.root);
  const written = readInstances(tree.resolved.root, slots, tree);
  const loaded = await loadInstances({ instances: written, folder: dirname(resolve(file)), loadPlugin: options.loadPlugin, report });
  const instances: Record<string, InstanceConfig> = {};
  for (const instance of loaded) {
    const checked = await checkInstance(instance, loading);
    if (checked !== undefined) instances[instance.name] = checked;
  }
  const checkedSlots = groupSlots(await checkSlots(slots, { instances: loaded, tree, report }, loading));

  const redact = createRedaction(loading.secrets);
  const problems = report.problems.map((problem) => redactProblem(problem, redact));
  if (core === undefined || problems.length > 0) return failure(problems);
  const kept = [core.database, core.audit, ...Object.values(instances).map((each) => each.config), ...checkedSlots.values()].flatMap(
    revealSecrets,
  );
  for (const text of loading.secrets)
    if (isPublicReference(text) && !kept.some((secret) => secret.includes(text) || text.includes(secret))) options.reveal?.(text);
  const source = tree.source as Json; // made of texts, finite numbers, booleans and null only
  const config = buildConfig({ file, core, instances, slots: checkedSlots, source, locate: report.locate });
  return { ok: true, config, warnings: orderProblems(warnings.problems.map((warning) => redactProblem(warning, redact))) };
};
