import type { Kind } from '@pipit/core';
import { z } from 'zod';
import { answers } from './answers.js';

/** Raised when a program of before could not answer any more. It is part of every request. */
export const PROTOCOL_VERSION = 1;

export type ProgramKind = Exclude<Kind, 'transport'>;

/** What is prepared in the program's folder before it runs; the request says where, under `paths`. */
export type Prepared = 'source' | 'outputs' | 'artifacts';

export interface Method {
  /** What `ok` has to be. */
  readonly answer: z.ZodType;
  /** A program of the kind has to have it. */
  readonly isRequired?: boolean;
  /** Something may have happened when the program ended without an answer: pipit looks before it calls again. */
  readonly isEffect?: boolean;
  readonly prepares?: readonly Prepared[];
  /** Names of the arguments before the call's context, where there is another than one request. */
  readonly arguments?: readonly string[];
}

const task = (result: z.ZodType, prepares: readonly Prepared[] = []): Readonly<Record<string, Method>> => ({
  find: { answer: answers.handle.nullable(), isRequired: true },
  start: { answer: answers.handle, isRequired: true, isEffect: true, prepares },
  inspect: { answer: answers.taskState(result), isRequired: true, arguments: ['started'] },
  cancel: { answer: z.null(), isEffect: true, arguments: ['started'] },
  readLog: { answer: answers.logPart, arguments: ['started', 'after'] },
});

/** Every call that pipit makes of a program, by kind and method. */
export const METHODS: Readonly<Record<ProgramKind, Readonly<Record<string, Method>>>> = {
  trigger: {
    poll: { answer: answers.pushes, arguments: ['after'] },
    findRepository: { answer: answers.repository.nullable(), arguments: ['name'] },
    access: { answer: answers.credentials.nullable(), arguments: ['repository'] },
  },
  ci: { ...task(answers.buildResult, ['source']), collect: { answer: answers.collected, arguments: ['started'] } },
  packager: { package: { answer: answers.packages, isRequired: true, prepares: ['source', 'outputs'] } },
  repository: {
    find: { answer: answers.artifactIds, isRequired: true },
    publish: { answer: z.null(), isRequired: true, isEffect: true, prepares: ['artifacts'] },
    installSources: { answer: answers.installSources, isRequired: true },
    offer: { answer: z.null(), isEffect: true },
    remove: { answer: z.null(), isEffect: true },
  },
  discovery: { findHosts: { answer: answers.foundHosts, isRequired: true } },
  advertiser: {
    read: { answer: answers.advertised, isRequired: true },
    write: { answer: z.enum(['written', 'conflict']), isRequired: true, isEffect: true },
  },
  deployer: { ...task(answers.hostReports), observe: { answer: answers.hostReports, isRequired: true } },
  balancer: {
    drain: { answer: z.null(), isRequired: true, isEffect: true },
    restore: { answer: z.null(), isRequired: true, isEffect: true },
  },
  gate: { judge: { answer: answers.judgement, isRequired: true } },
  notifier: { notify: { answer: answers.handle.nullable(), isRequired: true, isEffect: true } },
};

/** Calls of the plugin as a whole. */
export const HOOKS: Readonly<Record<'receive' | 'checkHealth', Method>> = {
  receive: { answer: answers.received },
  checkHealth: { answer: answers.findings },
};

/** Kinds whose programs run where `on:` says. */
export const SHELL_KINDS: readonly ProgramKind[] = ['ci', 'packager', 'repository', 'deployer'];

const jsonSchema = z.looseObject({ type: z.literal('object') });

const describedKind = z.strictObject({
  version: z.literal(1),
  /** Those that are optional for the kind are called only when they are named here. */
  methods: z.array(z.string()).min(1),
  options: jsonSchema.optional(),
  formats: z
    .array(z.enum(['deb', 'rpm', 'oci']))
    .min(1)
    .optional(),
});

/** The answer to `describe`. */
export const description = z.strictObject({
  protocol: z.literal(PROTOCOL_VERSION),
  /** Shown in errors and logs. */
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, 'expected lower-case letters, digits, ".", "_" and "-"'),
  config: jsonSchema.optional(),
  kinds: z.partialRecord(z.enum(Object.keys(METHODS) as [ProgramKind, ...ProgramKind[]]), describedKind), // the table's own keys
  hooks: z.array(z.enum(['receive', 'checkHealth'])).default([]),
  /** The longest that one call may take; the call's own deadline may come earlier. */
  timeLimitSeconds: z.number().positive().max(86_400).default(3_600),
});

export type Description = z.output<typeof description>;

/** What a program writes to its standard output. */
export const envelope = z.union([
  z.strictObject({ ok: z.unknown() }).refine((value) => 'ok' in value, 'expected `ok` or `error`'),
  z.strictObject({
    error: z.strictObject({
      code: z.string().regex(/^[A-Z][A-Z0-9_]*$/, 'expected upper-case words such as MY_CI_JOB_MISSING'),
      message: z.string().min(1),
      hint: z.string().min(1).optional(),
      recovery: z.enum(['retry', 'reconcile', 'stop']),
    }),
  }),
]);
