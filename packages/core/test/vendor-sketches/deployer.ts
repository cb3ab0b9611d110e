import {
  type Deployer,
  type Host,
  type HostReport,
  isPluginError,
  type Op,
  PluginError,
  parseDigest,
  parsePackageVersion,
  type Receipt,
  type RolloutRequest,
  type Shell,
  type TaskState,
} from '@pipit/core';

type NoOptions = Readonly<Record<string, never>>;
type DeployerOp = Op<'shell' | 'connect'>;

const unreachable = (host: Host, cause: unknown): HostReport => ({
  hostId: host.id,
  reachable: false,
  error: {
    code: isPluginError(cause) ? cause.code : 'SKETCH_UNREACHABLE',
    message: cause instanceof Error ? cause.message : String(cause),
  },
});

/** One report a host, in the order of the request; a dead host is a report and not an error. */
const onEach = (
  hosts: readonly Host[],
  op: DeployerOp,
  work: (host: Host, shell: Shell) => Promise<HostReport>,
): Promise<readonly HostReport[]> =>
  Promise.all(
    hosts.map(async (host) =>
      op.connect(host).then(
        (shell) => work(host, shell),
        (cause: unknown) => unreachable(host, cause),
      ),
    ),
  );

/** SSH + apt: one script a host, started as a transient unit that carries the key, so that a repeated start finds it. */
const unitOf = (key: string): string => `pipit-${key.replaceAll(/[^A-Za-z0-9]/g, '-')}`;
const RECEIPT = '/var/lib/pipit/receipt';

const readReceipt = async (shell: Shell): Promise<Receipt | undefined> => {
  const { exitCode, stdout } = await shell.run(['cat', '--', RECEIPT]);
  if (exitCode !== 0) return undefined;
  const [version = '', digest = '', sequence = ''] = stdout.trim().split(' ');
  return { version: parsePackageVersion(version), digest: parseDigest(digest), sequence: Number(sequence) };
};

export const createSshApt = (script: string): Deployer<NoOptions> => {
  const look = async ({ hosts }: Pick<RolloutRequest<NoOptions>, 'hosts'>, op: DeployerOp, unit?: string): Promise<readonly HostReport[]> =>
    onEach(hosts, op, async (host, shell) => {
      const installed = await readReceipt(shell);
      const active = unit === undefined ? 'inactive' : (await shell.run(['systemctl', 'is-active', '--', unit])).stdout.trim();
      return {
        hostId: host.id,
        reachable: true,
        busy: active === 'active',
        raw: active,
        ...(installed === undefined ? {} : { installed }),
      };
    });
  return {
    formats: ['deb'],
    find: async ({ hosts }, op) => {
      const known = await onEach(hosts, op, async (host, shell) => {
        const { stdout } = await shell.run(['systemctl', 'show', '--property=LoadState', '--value', '--', unitOf(op.key)]);
        return { hostId: host.id, reachable: true, raw: stdout.trim() };
      });
      return known.some((report) => report.raw === 'loaded') ? unitOf(op.key) : undefined;
    },
    start: async ({ hosts, release, sources, services, sequence }, op) => {
      const source = sources.find((each) => each.format === 'deb');
      if (source === undefined) throw new PluginError({ code: 'SKETCH_NO_SOURCE', message: 'There is no deb source', recovery: 'stop' });
      await onEach(hosts, op, async (host, shell) => {
        const artifact = release.artifacts.find(
          (each) => each.format === 'deb' && [host.attributes.architecture, 'all'].includes(each.architecture),
        );
        if (artifact === undefined) return { hostId: host.id, reachable: true, raw: 'no artifact' };
        await shell.write('install.sh', script, { mode: 0o755 });
        await shell.write('keys.asc', source.keys.join('\n'));
        const detached = ['systemd-run', '--unit', unitOf(op.key), '--collect', '--property=RemainAfterExit=yes', '--'];
        const what = [artifact.name, artifact.version, artifact.digest, String(sequence), source.uris.join(' '), source.suite, ...services];
        await shell.run([...detached, `${shell.folder}/install.sh`, ...what], { root: true });
        return { hostId: host.id, reachable: true };
      });
      return unitOf(op.key);
    },
    inspect: async ({ handle, request }, op): Promise<TaskState<readonly HostReport[]>> => {
      const reports = await look(request, op, handle);
      return reports.some((report) => report.busy === true) ? { state: 'running', partial: reports } : { state: 'ended', result: reports };
    },
    observe: (request, op) => look(request, op),
  };
};

/** Hosts that pull: an agent there follows the advertised version and leaves its receipt in a key-value store. Pipit connects to nothing. */
interface ReceiptStore {
  /** Waits at most this long for a change after the index. */
  list(
    prefix: string,
    options: { index?: string; waitMs: number; signal: AbortSignal },
  ): Promise<{ readonly index: string; readonly receipts: ReadonlyMap<string, Receipt & { readonly error?: HostReport['error'] }> }>;
}

export const createPullAgent = (store: ReceiptStore): Deployer<{ readonly patienceMinutes: number }> => {
  const read = async (
    { ring, hosts }: Pick<RolloutRequest<unknown>, 'ring' | 'hosts'>,
    { signal }: DeployerOp,
    waitMs = 0,
  ): Promise<readonly HostReport[]> => {
    const { receipts } = await store.list(`pipit/receipts/${ring.app}/${ring.role}`, { waitMs, signal });
    return hosts.map((host): HostReport => {
      const receipt = receipts.get(host.id);
      if (receipt === undefined) return { hostId: host.id, reachable: host.available };
      const { error, ...installed } = receipt;
      return { hostId: host.id, reachable: host.available, installed, ...(error === undefined ? {} : { error }) };
    });
  };
  return {
    formats: ['deb', 'rpm'],
    // The advertisement is the start, so there is nothing to find but the time at which pipit began to wait.
    find: async () => undefined,
    start: async (_request, { clock }) => clock.now().toISOString(),
    inspect: async ({ handle, request }, op) => {
      const reports = await read(request, op, 10_000);
      const isDone = (report: HostReport): boolean =>
        !report.reachable || report.error !== undefined || (report.installed?.sequence ?? 0) >= request.sequence;
      const isLate = op.clock.now().getTime() - Date.parse(handle) > request.options.patienceMinutes * 60_000;
      return isLate || reports.every(isDone) ? { state: 'ended', result: reports } : { state: 'running', partial: reports };
    },
    observe: (request, op) => read(request, op),
  };
};

/** podman: an image by its manifest's digest, run by a unit that systemd restarts. */
export const createPodman = (): Deployer<{ readonly unit: string }> => ({
  formats: ['oci'],
  find: async () => undefined, // every step below may be repeated
  start: async (_request, { key }) => key,
  inspect: async ({ request }, op) => {
    const { release, sources, sequence, hosts, options } = request;
    const source = sources.find((each) => each.format === 'oci');
    const reports = await onEach(hosts, op, async (host, shell) => {
      const artifact = release.artifacts.find((each) => each.format === 'oci' && each.architecture === host.attributes.architecture);
      if (source === undefined || artifact === undefined)
        return {
          hostId: host.id,
          reachable: true,
          error: { code: 'SKETCH_NO_IMAGE', message: `No image for ${host.attributes.architecture}` },
        };
      const login = source.credentials !== undefined && 'password' in source.credentials ? source.credentials : undefined;
      if (login !== undefined)
        await shell.run(
          [
            'podman',
            'login',
            '--authfile',
            'auth.json',
            '--username',
            login.username,
            '--password-stdin',
            source.image.split('/')[0] ?? '',
          ],
          { input: login.password.reveal() },
        );
      const image = `${source.image}@${artifact.digest}`;
      const pulled = await shell.run(['podman', 'pull', ...(login === undefined ? [] : ['--authfile', 'auth.json']), image], {
        root: true,
      });
      if (pulled.exitCode !== 0) return { hostId: host.id, reachable: true, error: { code: 'SKETCH_PULL_FAILED', message: pulled.stderr } };
      await shell.write(
        `/etc/containers/systemd/${options.unit}.container`,
        `[Container]\nImage=${image}\nLabel=pipit.sequence=${sequence}\n`,
      );
      await shell.run(['systemctl', 'restart', '--', options.unit], { root: true });
      return { hostId: host.id, reachable: true, installed: { version: artifact.version, digest: artifact.digest, sequence } };
    });
    return { state: 'ended', result: reports };
  },
  observe: ({ hosts, options }, op) =>
    onEach(hosts, op, async (host, shell) => {
      const { stdout } = await shell.run(['podman', 'inspect', '--format', '{{.ImageDigest}} {{.Config.Labels}}', options.unit], {
        root: true,
      });
      return { hostId: host.id, reachable: true, raw: stdout };
    }),
});
