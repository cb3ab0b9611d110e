import { type Host, PluginError, type RunOptions, type RunResult, type Transport } from '@pipit/core';

/** A local command, as both vendors' clients are. */
type RunLocal = (
  argv: readonly string[],
  options: { readonly input?: string | AsyncIterable<Uint8Array>; readonly signal: AbortSignal } & Pick<
    RunOptions,
    'onOutput' | 'timeoutMs'
  >,
) => Promise<RunResult>;
type StreamLocal = (argv: readonly string[], options: { readonly signal: AbortSignal }) => AsyncIterable<Uint8Array>;
interface Local {
  readonly run: RunLocal;
  readonly stream: StreamLocal;
  /** One word of a POSIX shell. */
  quote(word: string): string;
}

const inFolder = (argv: readonly string[], { cwd, env = {} }: RunOptions): readonly string[] => [
  ...['env', ...(cwd === undefined ? [] : [`--chdir=${cwd}`]), ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
  ...argv,
];

const optionsOf = ({ input, onOutput, timeoutMs }: RunOptions) => ({
  ...(input === undefined ? {} : { input }),
  ...(onOutput === undefined ? {} : { onOutput }),
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
});

/** OpenSSH with a shared connection. What it is given passes the remote shell, so every word is quoted. */
export const createSsh = (local: Local, config: { readonly user: string; readonly controlPath: string }): Transport => ({
  connect: async ({ address }: Host, { signal }) => {
    const ssh = [
      'ssh',
      '-o',
      'BatchMode=yes',
      '-o',
      'ControlMaster=auto',
      '-o',
      `ControlPath=${config.controlPath}`,
      '-l',
      config.user,
      '--',
      address,
    ];
    const remote = (argv: readonly string[]): readonly string[] => [...ssh, argv.map((word) => local.quote(word)).join(' ')];
    const probe = await local.run(remote(['true']), { signal });
    if (probe.exitCode !== 0) throw new PluginError({ code: 'SSH_UNREACHABLE', message: `${address}: ${probe.stderr}`, recovery: 'retry' });
    return {
      run: (argv, options = {}) => {
        const whole = inFolder(argv, options);
        return local.run(remote(options.root === true ? ['sudo', '-n', '--', ...whole] : whole), { ...optionsOf(options), signal });
      },
      write: async (path, content, { mode = 0o644 } = {}) => {
        const save = 'mkdir -p -- "$(dirname -- "$1")" && cat > "$1" && chmod -- "$2" "$1"';
        await local.run(remote(['sh', '-c', save, 'sh', path, mode.toString(8)]), { input: content, signal });
      },
      read: (path) => local.stream(remote(['cat', '--', path]), { signal }),
      close: async () => {
        await local.run(['ssh', '-o', `ControlPath=${config.controlPath}`, '-O', 'exit', '--', address], { signal });
      },
    };
  },
});

/** kubectl exec: no remote shell, so no quoting; a pod is a host whose namespace is an attribute. */
export const createKubectlExec = (local: Local): Transport => ({
  connect: async ({ id, attributes }: Host, { signal }) => {
    const exec = ['kubectl', 'exec', '--stdin', '--namespace', attributes.namespace ?? 'default', id, '--'];
    return {
      run: (argv, options = {}) => {
        if (options.root === true)
          throw new PluginError({ code: 'KUBECTL_NO_ROOT', message: 'kubectl exec cannot change the user', recovery: 'stop' });
        return local.run([...exec, ...inFolder(argv, options)], { ...optionsOf(options), signal });
      },
      write: async (path, content) => {
        await local.run([...exec, 'sh', '-c', 'mkdir -p -- "$(dirname -- "$1")" && cat > "$1"', 'sh', path], { input: content, signal });
      },
      read: (path) => local.stream([...exec, 'cat', '--', path], { signal }),
      close: async () => {},
    };
  },
});
