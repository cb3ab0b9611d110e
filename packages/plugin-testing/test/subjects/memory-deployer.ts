import { type Deployer, type Host, type HostReport, parseAppName, type Receipt, type RolloutRequest, type TaskState } from '@pipit/core';
import { createTemporaryFolder, createTestOp, createTestShell, type DeployerHarness } from '../../src/index.js';
import { APP, artifactOf, COMMIT, hostOf, ringRef } from './requests.js';

type Options = Readonly<Record<string, never>>;

export type DeployerFault =
  | 'finds without a start'
  | 'keeps rollouts in the instance'
  | 'leaves the digest out'
  | 'reports in another order'
  | 'starts again when it is asked to find'
  | 'answers another word each time'
  | 'calls a broken host well'
  | 'finds an ended try by its sequence'
  | 'starts although it is aborted'
  | 'holds although it is aborted'
  | 'takes any handle for a running rollout'
  | 'repeats the log for ever'
  | 'cannot cancel twice'
  | 'has no format'
  | 'believes in a receipt from nowhere'
  | 'asks no health'
  | 'takes an older sequence'
  | 'checks no digest'
  | 'stops at a dead host'
  | 'stops at what a neighbour left';

interface Rollout {
  readonly id: string;
  readonly key: string;
  readonly request: RolloutRequest<Options>;
  reports?: readonly HostReport[];
  cancelled?: boolean;
}

interface Fleet {
  readonly rollouts: Rollout[];
  readonly receipts: Map<string, Receipt>;
  /** The digests that the repository's bytes really have. */
  readonly bytes: ReadonlySet<string>;
  readonly dead: string;
  /** Hosts on which another app's install failed. */
  readonly left: Set<string>;
}

const UNHEALTHY_VERSION = '2';
const LOG = ['installing\n', 'installed\n'];
let words = 0;

const installOn = (
  fleet: Fleet,
  host: Host,
  { release, ring, sequence }: RolloutRequest<Options>,
  fault: DeployerFault | undefined,
): HostReport => {
  if (host.id === fleet.dead)
    return { hostId: host.id, reachable: false, error: { code: 'MEMORY_HOST_UNREACHABLE', message: 'No answer' } };
  const [artifact] = release.artifacts;
  const before = fleet.receipts.get(host.id);
  const kept = before === undefined ? {} : { installed: before };
  const refuse = (code: string, message: string): HostReport => ({ hostId: host.id, reachable: true, ...kept, error: { code, message } });
  if (ring.app !== APP) {
    fleet.left.add(host.id);
    return refuse('MEMORY_INSTALL_FAILED', 'The post-install script failed');
  }
  if (fleet.left.has(host.id) && fault === 'stops at what a neighbour left') return refuse('MEMORY_INTERRUPTED', 'Something is half-way');
  if (artifact === undefined) return refuse('MEMORY_NO_ARTIFACT', 'Nothing to install');
  if ((before?.sequence ?? 0) > sequence && fault !== 'takes an older sequence')
    return refuse('MEMORY_SEQUENCE_OLD', 'A newer rollout was here');
  if (!fleet.bytes.has(artifact.digest) && fault !== 'checks no digest') return refuse('MEMORY_DIGEST_WRONG', 'Other bytes');
  const { digest, version } = artifact;
  const installed: Receipt = fault === 'leaves the digest out' ? { version, sequence } : { version, sequence, digest };
  fleet.receipts.set(host.id, installed);
  return { hostId: host.id, reachable: true, installed, healthy: version !== UNHEALTHY_VERSION || fault === 'calls a broken host well' };
};

const createMemoryDeployer = (fleet: Fleet, fault: DeployerFault | undefined): Deployer<Options> => ({
  formats: fault === 'has no format' ? [] : ['deb'],
  find: async (request, op) => {
    if (fault === 'finds without a start') return 'rollout-1';
    const again = fault === 'starts again when it is asked to find' && fleet.rollouts.length > 0;
    if (again) fleet.rollouts.push({ id: `rollout-${fleet.rollouts.length + 1}`, key: op.key, request });
    const bySequence = fault === 'finds an ended try by its sequence';
    return fleet.rollouts.find((rollout) => rollout.key === op.key || (bySequence && rollout.request.sequence === request.sequence))?.id;
  },
  start: async (request, op) => {
    if (fault !== 'starts although it is aborted') op.signal.throwIfAborted();
    const rollout = { id: `rollout-${fleet.rollouts.length + 1}`, key: op.key, request };
    fleet.rollouts.push(rollout);
    return rollout.id;
  },
  inspect: async ({ handle }, op): Promise<TaskState<readonly HostReport[]>> => {
    if (fault === 'holds although it is aborted') {
      await new Promise((resolve) => setImmediate(resolve));
      if (op.signal.aborted) return new Promise(() => {});
    }
    const rollout = fleet.rollouts.find(({ id }) => id === handle);
    if (rollout === undefined)
      return fault === 'takes any handle for a running rollout'
        ? { state: 'running' }
        : { state: 'lost', reason: `${handle} is not known` };
    const { hosts } = rollout.request;
    const reached = fault === 'stops at a dead host' && hosts.some((host) => host.id === fleet.dead) ? hosts.slice(0, 1) : hosts;
    rollout.reports ??= reached.map((host) => installOn(fleet, host, rollout.request, fault));
    words += 1;
    const told =
      fault === 'answers another word each time' ? rollout.reports.map((report) => ({ ...report, raw: String(words) })) : rollout.reports;
    return { state: 'ended', result: told };
  },
  cancel: async ({ handle }) => {
    const rollout = fleet.rollouts.find(({ id }) => id === handle);
    if (rollout?.cancelled === true && fault === 'cannot cancel twice') throw new Error('It is cancelled already');
    if (rollout !== undefined) rollout.cancelled = true;
  },
  readLog: async (_started, after) => {
    const from = fault === 'repeats the log for ever' ? 0 : Number(after ?? 0);
    return { text: LOG[from] ?? '', cursor: String(Math.min(from + 1, LOG.length)) };
  },
  observe: async ({ hosts, check }) => {
    const reports = hosts.map((host): HostReport => {
      if (host.id === fleet.dead) return { hostId: host.id, reachable: false };
      const installed =
        fleet.receipts.get(host.id) ??
        (fault === 'believes in a receipt from nowhere' ? { version: artifactOf('1', 'first').version } : undefined);
      const healthy = check === undefined || fault === 'asks no health' ? {} : { healthy: installed?.version !== UNHEALTHY_VERSION };
      return { hostId: host.id, reachable: true, ...healthy, ...(installed === undefined ? {} : { installed }) };
    });
    return fault === 'reports in another order' ? reports.toSorted((a, b) => a.hostId.localeCompare(b.hostId)) : reports;
  },
});

/** Hosts that are receipts in memory. */
export const memoryDeployerHarness = (fault?: DeployerFault): DeployerHarness<Options> => ({
  open: async () => {
    const folder = await createTemporaryFolder();
    const shell = createTestShell(folder.path);
    const artifacts = {
      good: artifactOf('1', 'good'),
      bad: artifactOf(UNHEALTHY_VERSION, 'bad'),
      older: artifactOf('0', 'older'),
      tampered: artifactOf('3', 'never published'),
    };
    const fleet: Fleet = {
      rollouts: [],
      receipts: new Map(),
      bytes: new Set([artifacts.good, artifacts.bad, artifacts.older].map((artifact) => artifact.digest)),
      dead: 'web0',
      left: new Set(),
    };
    const request = (name: keyof typeof artifacts, sequence: number): RolloutRequest<Options> => ({
      ring: ringRef('canary'),
      sequence,
      hosts: [hostOf('web1'), hostOf('web2')],
      services: [],
      check: { type: 'tcp', port: 80, withinMs: 1_000 },
      release: { app: APP, version: artifacts[name].version, commit: COMMIT, artifacts: [artifacts[name]] },
      sources: [],
      options: {},
    });
    return {
      good: request('good', 5),
      bad: request('bad', 6),
      older: request('older', 4),
      tampered: request('tampered', 7),
      neighbour: { ...request('good', 1), ring: { ...ringRef('canary'), app: parseAppName('api') } },
      unreachableHost: hostOf('web0'),
      forgottenHandle: 'rollout-999',
      endTimeoutMs: 1_000,
      reopen: async () => createMemoryDeployer(fault === 'keeps rollouts in the instance' ? { ...fleet, rollouts: [] } : fleet, fault),
      createOp: async ({ key, signal }) =>
        createTestOp({ shell, connect: async () => shell, key, ...(signal === undefined ? {} : { signal }) }),
      countEffects: async () => fleet.rollouts.length,
      close: () => folder.remove(),
    };
  },
});
