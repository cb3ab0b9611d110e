import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.js';
import { type JenkinsAccount, jenkinsInitScript, passwordOf } from './jenkins-init.js';
import { jenkinsWar } from './jenkins-war.js';

/** It is up in 3 s on an idle machine; a start beside a full test run takes many times that. */
const DEFAULT_UP_MS = 120_000;
const POLL_MS = 50;
/** Jenkins waits for its builds when it is asked to end. */
const STOP_MS = 20_000;

/** Packages of the JDK that this old Jenkins reaches into. Source: each was found by the InaccessibleObjectException without it. */
const OPENED = [
  ...['lang', 'util', 'lang.reflect', 'text', 'io', 'net', 'util.concurrent', 'util.zip', 'security'].map(
    (name) => `java.base/java.${name}`,
  ),
  'java.desktop/java.awt.font',
  'java.desktop/java.awt',
];

export interface JenkinsOptions {
  /** Becomes JENKINS_HOME; made when it is missing, and kept by {@link Jenkins.stop}. */
  readonly folder: string;
  /** Where it listens. Default 127.0.0.1. */
  readonly address?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** The first one's user and token are in the answer. Default: `pipit`, with every right. */
  readonly accounts?: readonly JenkinsAccount[];
  /** Builds at once. Default 2. */
  readonly executors?: number;
  /** Seconds that a build waits before it begins. Default 0, where Jenkins' own default is 5. */
  readonly quietPeriodSeconds?: number;
  /** Whether a POST needs a crumb. Default false. */
  readonly crumbs?: boolean;
  /** Jobs that are there from the beginning: name and config.xml. */
  readonly jobs?: Readonly<Record<string, string>>;
  /** Milliseconds until it has to be up. Default 120,000. */
  readonly upMs?: number;
  /** Whether it goes on when this process ends, however it ends. Default false. Whoever says true stops it by {@link Jenkins.pid}. */
  readonly outlives?: boolean;
}

export interface Jenkins {
  /** With a closing slash, as Jenkins writes it. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** The API token of `user`. */
  readonly token: string;
  /** API token of each account. */
  readonly tokens: ReadonlyMap<string, string>;
  readonly home: string;
  /** Of the running process; another one after a restart. */
  readonly pid: () => number;
  /** Where its own output is. */
  readonly logFile: string;
  /** Asks it to end, then kills it; harmless when repeated. */
  readonly stop: () => Promise<void>;
  /** At the same address and with the same jobs. `kill`: as a power cut does it. Default: as `systemctl restart` does it. */
  readonly restart: (how?: { readonly kill?: boolean }) => Promise<void>;
}

const launch = async (
  war: string,
  home: string,
  logFile: string,
  options: JenkinsOptions,
  listen: readonly string[],
): Promise<ChildProcess> => {
  const log = await open(logFile, 'a');
  try {
    const java = [
      'java',
      '-Djava.awt.headless=true',
      // A short life: less compiling, less memory.
      '-XX:TieredStopAtLevel=1',
      '-Xmx256m',
      ...OPENED.flatMap((name) => ['--add-opens', `${name}=ALL-UNNAMED`]),
      '-jar',
      war,
      ...listen,
      '--ajp13Port=-1',
    ];
    const detached = options.outlives === true;
    const [program = '', ...argv] = detached ? java : ['setpriv', '--pdeathsig', 'TERM', ...java];
    const child = spawn(program, argv, {
      cwd: home,
      env: { ...process.env, JENKINS_HOME: home },
      stdio: ['ignore', log.fd, log.fd],
      detached,
    });
    await once(child, 'spawn');
    if (detached) child.unref();
    return child;
  } finally {
    await log.close();
  }
};

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

const end = async (child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const finished = await Promise.race([ended.then(() => true), delay(STOP_MS, false, { ref: false })]);
  if (finished) return;
  child.kill('SIGKILL');
  await ended;
};

const readTokens = async (tokensFile: string): Promise<ReadonlyMap<string, string> | undefined> => {
  const text = await readFile(tokensFile, 'utf8').catch(() => undefined);
  return text === undefined
    ? undefined
    : new Map(
        text
          .trim()
          .split('\n')
          .map((line): [string, string] => [line.split(' ')[0] ?? '', line.split(' ')[1] ?? '']),
      );
};

const answers = async (url: string, user: string, token: string): Promise<boolean> => {
  const authorization = `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`;
  const answer = await fetch(`${url}api/json`, { headers: { authorization }, signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  await answer?.arrayBuffer();
  return answer?.status === 200;
};

/**
 * A real Jenkins, brought here when it is not, listening and ready when this returns. Needs Java 17 (openjdk-17-jdk-headless), ruby, util-linux.
 * Its HTML pages do not work on this Java: use the API.
 *
 * @throws Error with the end of Jenkins' own output when it is not up in time
 */
export const startJenkins = async (options: JenkinsOptions): Promise<Jenkins> => {
  const war = await jenkinsWar();
  const home = options.folder;
  const address = options.address ?? '127.0.0.1';
  const port = options.port ?? (await freePort(address));
  const url = `http://${address}:${port}/`;
  const accounts = options.accounts ?? [{ user: 'pipit', rights: 'admin' }];
  const [first] = accounts;
  if (first === undefined) throw new Error('A Jenkins of the lab needs an account');
  const tokensFile = join(home, 'lab-tokens');
  const logFile = join(home, 'jenkins.log');
  await mkdir(join(home, 'init.groovy.d'), { recursive: true });
  await writeFile(
    join(home, 'init.groovy.d', 'lab.groovy'),
    jenkinsInitScript({
      accounts,
      executors: options.executors ?? 2,
      quietPeriodSeconds: options.quietPeriodSeconds ?? 0,
      crumbs: options.crumbs ?? false,
      tokensFile,
    }),
    { mode: 0o600 },
  );
  for (const [name, xml] of Object.entries(options.jobs ?? {})) {
    const folder = join(home, 'jobs', ...name.split('/').flatMap((part, at) => (at === 0 ? [part] : ['jobs', part])));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'config.xml'), xml);
  }

  const bringUp = async (): Promise<{ child: ChildProcess; tokens: ReadonlyMap<string, string> }> => {
    await rm(tokensFile, { force: true });
    const child = await launch(war, home, logFile, options, [`--httpPort=${port}`, `--httpListenAddress=${address}`]);
    const deadline = performance.now() + (options.upMs ?? DEFAULT_UP_MS);
    try {
      while (performance.now() < deadline && !hasEnded(child)) {
        const tokens = await readTokens(tokensFile);
        if (tokens !== undefined && (await answers(url, first.user, tokens.get(first.user) ?? ''))) return { child, tokens };
        await delay(POLL_MS);
      }
      const tail = (await readFile(logFile, 'utf8').catch(() => '')).slice(-4000);
      throw new Error(`Jenkins is not up at ${url}${hasEnded(child) ? ' (it ended)' : ''}. Its output ends with:\n${tail}`);
    } catch (thrown) {
      await end(child, 'SIGKILL');
      throw thrown;
    }
  };

  let running = await bringUp();
  return {
    url,
    user: first.user,
    password: passwordOf(first),
    token: running.tokens.get(first.user) ?? '',
    tokens: running.tokens,
    home,
    pid: () => running.child.pid ?? 0,
    logFile,
    stop: () => end(running.child, 'SIGTERM'),
    restart: async ({ kill = false } = {}) => {
      await end(running.child, kill ? 'SIGKILL' : 'SIGTERM');
      running = await bringUp();
    },
  };
};
