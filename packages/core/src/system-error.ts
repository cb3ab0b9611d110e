import { isPluginError, PluginError, type Recovery } from './plugin-error.js';

interface Fault {
  readonly code: string;
  /** What happened, in front of the place. */
  readonly what: string;
  readonly hint: string;
}

const DISK_FULL: Fault = {
  code: 'MACHINE_DISK_FULL',
  what: 'The disk is full',
  hint: 'Make room there (`df`, also `df --inodes`); pipit goes on by itself while it still waits.',
};
const UNREACHABLE: Fault = {
  code: 'OUTSIDE_UNREACHABLE',
  what: 'Another machine or service does not answer',
  hint: 'See that it runs and can be reached from here.',
};

/** What a number of the operating system means for the person who has to act. */
const FAULTS: Readonly<Record<string, Fault>> = {
  ENOSPC: DISK_FULL,
  EDQUOT: { ...DISK_FULL, what: 'The disk quota is used up' },
  EROFS: {
    code: 'MACHINE_READ_ONLY',
    what: 'The file system is read-only',
    hint: 'Mount it for writing; a disk with errors is often made read-only by itself (`dmesg`).',
  },
  EIO: {
    code: 'MACHINE_IO_FAILED',
    what: 'The disk gave an input or output error',
    hint: 'See `dmesg`: the disk, or the network that it is on, has a fault.',
  },
  EMFILE: {
    code: 'MACHINE_FILES_EXHAUSTED',
    what: 'The process has too many open files',
    hint: 'Raise the limit (`LimitNOFILE` of the service, `ulimit -n`).',
  },
  ENFILE: {
    code: 'MACHINE_FILES_EXHAUSTED',
    what: 'The machine has too many open files',
    hint: 'Raise `fs.file-max`, or end what holds them.',
  },
  ENOMEM: { code: 'MACHINE_MEMORY_EXHAUSTED', what: 'There is no memory left', hint: 'End what uses it, or give the machine more.' },
  EAGAIN: {
    code: 'MACHINE_BUSY',
    what: 'The machine has no processes or memory left at this moment',
    hint: 'End what uses them, or raise the limit (`TasksMax`, `ulimit -u`).',
  },
  EACCES: { code: 'MACHINE_ACCESS_DENIED', what: 'Access is denied', hint: 'Give the user that pipit runs as the rights to it.' },
  EPERM: { code: 'MACHINE_ACCESS_DENIED', what: 'Access is denied', hint: 'Give the user that pipit runs as the rights to it.' },
  EBUSY: { code: 'MACHINE_BUSY', what: 'Something else uses it at this moment', hint: 'End what uses it.' },
  ESTALE: { code: 'MACHINE_IO_FAILED', what: 'The network file system lost it', hint: 'See that its server answers; mount it again.' },
  ECONNREFUSED: UNREACHABLE,
  ECONNRESET: UNREACHABLE,
  EPIPE: UNREACHABLE,
  ETIMEDOUT: UNREACHABLE,
  EHOSTUNREACH: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  ENETDOWN: UNREACHABLE,
  ENOTFOUND: { ...UNREACHABLE, what: 'A name was not found', hint: 'See that the name is right, and that this machine resolves names.' },
  EAI_AGAIN: { ...UNREACHABLE, what: 'Names are not resolved at this moment', hint: 'See that this machine reaches its name server.' },
};

/** How C libraries put these in the words of the tools that they end. */
const WORDS =
  /No space left on device|Disk quota exceeded|Read-only file system|Input\/output error|Too many open files|Cannot allocate memory/;

/** Longer chains of causes are made by mistake. */
const MAX_CAUSES = 8;

const causesOf = function* (thrown: unknown): Generator<Error> {
  let current = thrown;
  for (let depth = 0; depth < MAX_CAUSES && current instanceof Error; depth += 1) {
    yield current;
    if (current instanceof AggregateError) yield* current.errors.filter((each): each is Error => each instanceof Error);
    current = current.cause;
  }
};

const findFault = (thrown: unknown): { readonly fault: Fault; readonly error: Error } | undefined => {
  for (const error of causesOf(thrown)) {
    const fault = 'code' in error && typeof error.code === 'string' ? FAULTS[error.code] : undefined;
    if (fault !== undefined) return { fault, error };
  }
  return undefined;
};

/** Where it happened: the path, or the address, that the system error names. */
const placeOf = (error: Error): string => {
  const { path, address, port, hostname } = error as Error & Readonly<Record<'path' | 'address' | 'port' | 'hostname', unknown>>; // node's system errors have these
  if (typeof path === 'string') return ` at ${path}`;
  if (typeof address === 'string') return ` at ${address}${typeof port === 'number' ? `:${port}` : ''}`;
  return typeof hostname === 'string' ? ` at ${hostname}` : '';
};

/**
 * Puts an error of the operating system into a {@link PluginError} whose message names what happened and where, and whose hint what to do. Anything
 * else is given back as it is. This is the one place that knows what `ENOSPC` and its like mean.
 */
export const explainSystemError = (thrown: unknown): unknown => {
  if (isPluginError(thrown)) return thrown;
  const found = findFault(thrown);
  if (found === undefined) return thrown;
  const { fault, error } = found;
  const recovery: Recovery = 'reconcile';
  return new PluginError({
    code: fault.code,
    message: `${fault.what}${placeOf(error)} (${error.message})`,
    hint: fault.hint,
    recovery,
    cause: thrown,
  });
};

/** Whether what was thrown may pass by itself, or once somebody has mended a machine: not when its `recovery` is `stop`, unless a system error caused it. */
export const isTransient = (thrown: unknown): boolean => {
  if (!isPluginError(thrown) || thrown.recovery !== 'stop') return true;
  return findFault(thrown.cause) !== undefined || WORDS.test(thrown.message);
};
