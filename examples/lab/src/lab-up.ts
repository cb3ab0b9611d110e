import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLab, type Lab, openLab } from './lab.js';
import { fleetHosts, startLabServices } from './lab-services.js';

const SERVICES_UP_MS = 300_000;
const POLL_MS = 100;
/** A process that enters the lab's cgroup itself is never outside of it, whenever this one is killed. */
const ENTER_CGROUP = 'mkdir -p "$1" && echo 0 > "$1/cgroup.procs" && shift && exec "$@"';

/** What `lab services` writes when all is up. */
interface ServicesRecord {
  readonly consul: string;
  readonly jenkins?: { readonly url: string; readonly user: string; readonly token: string };
  readonly clone: string;
  readonly repository: string;
  readonly balancer: string;
}

interface ServicesRequest {
  readonly jenkins: boolean;
  readonly hooks: readonly { readonly url: string; readonly secret: string }[];
}

interface BringUpOptions {
  readonly folder: string;
  readonly say: (text: string) => void;
  readonly jenkins: boolean;
  readonly canaries: number;
  readonly production: number;
  readonly hook?: string;
}

const servicesFile = (folder: string, name: string): string => join(folder, 'services', name);

const readJson = async <T>(path: string): Promise<T | undefined> => {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  // Written whole, and only by this file.
  return text === undefined ? undefined : (JSON.parse(text) as T);
};

/** Runs the services of a lab until it is killed with the lab: the long-lived half of `lab up`. */
export const runServices = async (folder: string): Promise<number> => {
  const lab = await openLab(folder);
  const request = await readJson<ServicesRequest>(servicesFile(folder, 'request.json'));
  if (lab === undefined || request === undefined) throw new Error(`No lab in ${folder} waits for services`);
  const { consul, jenkins, cloneUrl, repository, balancer } = await startLabServices({ lab, ...request });
  const record: ServicesRecord = {
    consul: consul.url,
    ...(jenkins && { jenkins: { url: jenkins.url, user: jenkins.user, token: jenkins.token } }),
    clone: cloneUrl,
    repository: repository.url,
    balancer: balancer.url,
  };
  const file = servicesFile(folder, 'services.json');
  await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
  await rename(`${file}.new`, file);
  await new Promise(() => setInterval(() => undefined, 1 << 30));
  return 0;
};

const startServices = async (lab: Lab, request: ServicesRequest, signal: AbortSignal): Promise<void> => {
  await mkdir(join(lab.folder, 'services'), { recursive: true });
  await writeFile(servicesFile(lab.folder, 'request.json'), JSON.stringify(request), { mode: 0o600 });
  const logFile = servicesFile(lab.folder, 'services.log');
  const log = await open(logFile, 'a');
  const [, main = ''] = process.argv;
  const services = [process.execPath, main, 'services', '--folder', lab.folder];
  const child = spawn('sh', ['-c', ENTER_CGROUP, 'sh', lab.servicesCgroup, ...services], {
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
  });
  await Promise.all([once(child, 'spawn'), log.close()]);
  const deadline = performance.now() + SERVICES_UP_MS;
  while ((await readJson(servicesFile(lab.folder, 'services.json'))) === undefined) {
    signal.throwIfAborted();
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline)
      throw new Error(`The services did not come up: ${(await readFile(logFile, 'utf8')).slice(-3000)}`);
    await sleep(POLL_MS);
  }
  child.unref();
};

const table = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

/** The lab as a table of hosts and a list of what runs beside them. */
export const describeLab = async (lab: Lab): Promise<string> => {
  const hosts = await Promise.all(
    lab.hosts.map(async (host) => [
      host.name,
      host.address,
      await host.state(),
      (await host.isCut()) ? 'cut' : 'connected',
      host.layers.join(' '),
    ]),
  );
  const services = await readJson<ServicesRecord>(servicesFile(lab.folder, 'services.json'));
  const request = await readJson<ServicesRequest>(servicesFile(lab.folder, 'request.json'));
  const rows =
    services === undefined
      ? []
      : [
          ['Consul', services.consul],
          ...(services.jenkins
            ? [['Jenkins', `${services.jenkins.url} (user ${services.jenkins.user}, token ${services.jenkins.token})`]]
            : []),
          ['git', services.clone],
          ...(request?.hooks ?? []).map(({ url, secret }) => ['hook', `${url} (secret ${secret})`]),
          ['packages', `${services.repository} (publish in /srv/repository of repository-1)`],
          ['app', `${services.balancer} (with the header X-Canary: a canary)`],
        ];
  return [table([['HOST', 'ADDRESS', 'STATE', 'CABLE', 'ROLES'], ...hosts]), ...(rows.length > 0 ? ['', table(rows)] : [])].join('\n');
};

/** `lab up`: ends with all of it up, or with nothing of it left. */
export const bringUp = async ({ folder, say, jenkins, canaries, production, hook }: BringUpOptions): Promise<void> => {
  const stopping = new AbortController();
  const interrupt = () => stopping.abort(new Error('Interrupted; nothing of the lab is left.'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupt);
  say('Bringing up the hosts; the first time their images are built, which takes some minutes ...');
  const lab = await createLab({ folder, hosts: fleetHosts({ canaries, production }), signal: stopping.signal });
  try {
    say(
      `${lab.hosts.length} hosts are up. Starting Consul, ${jenkins ? 'Jenkins, ' : ''}a git server, the repository and the balancer ...`,
    );
    const hooks = hook === undefined ? [] : [{ url: hook, secret: randomBytes(20).toString('hex') }];
    await startServices(lab, { jenkins, hooks }, stopping.signal);
    say(await describeLab(lab));
    say('\nNext: lab status | lab ssh canary-1 | lab stop HOST | lab cut HOST | lab heal HOST | lab down');
    say(`The hosts' key: ${lab.privateKeyFile}   known hosts: ${lab.knownHostsFile}   ssh -F ${lab.sshConfigFile} canary-1`);
    stopping.signal.throwIfAborted();
    await lab.keep();
  } catch (error) {
    await lab.down();
    throw error;
  }
};
