import { setTimeout as sleep } from 'node:timers/promises';
import type { Installation } from './installation.js';
import type { KillOrder } from './server-settings.js';

type Row = Readonly<Record<string, unknown>>;

/** One kind of run to be walked: what to push, and how its run must end. */
export interface Shape {
  /** Pushes a new commit and returns it. */
  push(): Promise<string>;
  /** Fails when the run, its effects or what is left are not as if nobody had been killed. */
  expectAsItShouldBe(run: Row): Promise<void>;
}

/** Kills in one run at most: more of them cover the same points with fewer runs, and say less clearly which one did the harm. */
const KILLS_A_RUN = 16;
/** "Inside the step": its effects are under way by then; the second falls into what the first does not reach. */
const INSIDE_MS = [40, 120] as const;
/** How long a run's end is outlived at most before its last points are passed. */
const LAST_POINTS_MS = 400;

const keyOf = ({ point, afterMs }: KillOrder): string => `${point} +${afterMs} ms`;

/** Ends when the server was killed, or when the run has ended without that. */
const killedOrEnded = async (installation: Installation, sha: string): Promise<{ readonly killedAt: string } | { readonly run: Row }> => {
  const server = installation.server();
  const deadline = Date.now() + 120_000;
  for (;;) {
    if (!server.isRunning()) {
      const killed = server.lines.find((line) => 'killedAt' in line);
      if (killed === undefined) throw new Error(`The server ended by itself:\n${server.log()}`);
      return { killedAt: String(killed.killedAt) };
    }
    const [run] = await installation.query(`select * from runs where sha = $1 and state = 'ended'`, [sha]);
    if (run !== undefined) return { run };
    if (Date.now() > deadline) {
      const steps = await installation.query(
        `select operation_id, name, state, attempt, progress, error from steps where state <> 'succeeded'`,
      );
      throw new Error(`The run of ${sha} does not end; open steps: ${JSON.stringify(steps)}\n${server.log().slice(-4_000)}`);
    }
    await sleep(25);
  }
};

/** Every point that one undisturbed run passes, in order, each once. */
export const recordPoints = async (installation: Installation, shape: Shape): Promise<readonly string[]> => {
  const server = await installation.start({ tellPoints: true });
  const sha = await shape.push();
  const ended = await killedOrEnded(installation, sha);
  if (!('run' in ended)) throw new Error('Nobody was told to kill the server');
  await shape.expectAsItShouldBe(ended.run);
  await server.stop();
  return [...new Set(server.lines.flatMap((line) => (typeof line.point === 'string' ? [line.point] : [])))];
};

/** Exactly at each point; and where a step's work begins, also a little later. */
export const killOrders = (points: readonly string[]): readonly KillOrder[] =>
  points.flatMap((point) => [
    { point, afterMs: 0 },
    ...(point.endsWith(': begun') ? INSIDE_MS.map((afterMs) => ({ point, afterMs })) : []),
  ]);

/** One run, in which the server is killed by each order in turn. Returns those that were carried out. */
const killedRun = async (installation: Installation, shape: Shape, orders: readonly KillOrder[]): Promise<readonly KillOrder[]> => {
  const carriedOut: KillOrder[] = [];
  const [first, ...rest] = orders;
  if (first === undefined) return [];
  if (!installation.server().isRunning()) await installation.start();
  await installation.server().arm(first);
  const sha = await shape.push();
  let current: KillOrder | undefined = first;
  for (;;) {
    const ended = await killedOrEnded(installation, sha);
    if ('run' in ended) {
      // The last points lie behind the end.
      if (current !== undefined) await Promise.race([installation.server().ended, sleep(LAST_POINTS_MS)]);
      await installation.server().disarm();
      if (!installation.server().isRunning()) {
        if (current !== undefined) carriedOut.push(current);
        current = undefined;
        await installation.start();
      }
      await shape.expectAsItShouldBe(ended.run);
      return carriedOut;
    }
    if (current !== undefined) carriedOut.push(current);
    current = rest.shift();
    await installation.start(current === undefined ? {} : { kill: current });
  }
};

/**
 * Carries out every order, over as many runs as it takes. An order that its run had passed already when it came to it (the kill before fell a
 * little later than the point) is left for a later run.
 */
export const walk = async (installation: Installation, shape: Shape, orders: readonly KillOrder[]): Promise<{ readonly runs: number }> => {
  let left = orders;
  let runs = 0;
  await installation.start();
  while (left.length > 0) {
    const stride = Math.ceil(left.length / KILLS_A_RUN);
    const done = new Set(
      (
        await killedRun(
          installation,
          shape,
          left.filter((_, index) => index % stride === 0),
        )
      ).map(keyOf),
    );
    runs += 1;
    if (done.size === 0) throw new Error(`No run passes ${left.map(keyOf).join(', ')}`);
    left = left.filter((order) => !done.has(keyOf(order)));
  }
  return { runs };
};
