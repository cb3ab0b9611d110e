import { setTimeout as delay } from 'node:timers/promises';
import { type Balancer, type Host, PluginError } from '@pipit/core';

const LOOK_AGAIN_MS = 500;

/** HAProxy's runtime API: one line a command over its socket. */
interface HaproxySocket {
  send(command: string, options: { signal: AbortSignal }): Promise<string>;
}
interface HaproxyOptions {
  readonly backend: string;
}

/** Columns of `show servers state`: srv_name is the fourth, and `show stat` counts sessions. */
export const createHaproxy = (socket: HaproxySocket): Balancer<HaproxyOptions> => {
  const command = async (text: string, signal: AbortSignal): Promise<void> => {
    const answer = (await socket.send(text, { signal })).trim();
    // It answers nothing when all is well.
    if (answer !== '') throw new PluginError({ code: 'HAPROXY_REFUSED', message: answer, recovery: 'stop' });
  };
  const sessionsOf = async (server: string, signal: AbortSignal): Promise<number> => {
    const line = (await socket.send('show stat', { signal })).split('\n').find((row) => row.startsWith(`${server.replace('/', ',')},`));
    return Number(line?.split(',')[4] ?? 0);
  };
  const serverOf = (host: Host, { backend }: HaproxyOptions): string => `${backend}/${host.id}`;
  return {
    drain: async ({ host, options }, { signal, report }) => {
      const server = serverOf(host, options);
      await command(`set server ${server} state drain`, signal);
      for (let sessions = await sessionsOf(server, signal); sessions > 0; sessions = await sessionsOf(server, signal)) {
        report({ message: `${sessions} sessions left on ${server}` });
        await delay(LOOK_AGAIN_MS, undefined, { signal });
      }
    },
    restore: ({ host, options }, { signal }) => command(`set server ${serverOf(host, options)} state ready`, signal),
  };
};

/** AWS: targets of a target group, whose draining takes its deregistration delay. */
interface ElasticLoadBalancingV2 {
  deregisterTargets(options: { TargetGroupArn: string; Targets: { Id: string }[] }, request: { abortSignal: AbortSignal }): Promise<void>;
  registerTargets(options: { TargetGroupArn: string; Targets: { Id: string }[] }, request: { abortSignal: AbortSignal }): Promise<void>;
  describeTargetHealth(
    options: { TargetGroupArn: string; Targets: { Id: string }[] },
    request: { abortSignal: AbortSignal },
  ): Promise<{
    TargetHealthDescriptions: { TargetHealth: { State: 'initial' | 'healthy' | 'unhealthy' | 'unused' | 'draining' | 'unavailable' } }[];
  }>;
}
interface TargetGroupOptions {
  readonly targetGroupArn: string;
}

export const createAwsTargetGroup = (client: ElasticLoadBalancingV2): Balancer<TargetGroupOptions> => {
  const targetOf = (host: Host, { targetGroupArn }: TargetGroupOptions) => ({
    TargetGroupArn: targetGroupArn,
    Targets: [{ Id: host.attributes.instanceId ?? host.id }],
  });
  const waitFor = async (target: ReturnType<typeof targetOf>, wanted: 'healthy' | 'unused', abortSignal: AbortSignal): Promise<void> => {
    for (;;) {
      const { TargetHealthDescriptions } = await client.describeTargetHealth(target, { abortSignal });
      if (TargetHealthDescriptions.every((each) => each.TargetHealth.State === wanted)) return;
      await delay(LOOK_AGAIN_MS, undefined, { signal: abortSignal });
    }
  };
  return {
    drain: async ({ host, options }, { signal }) => {
      const target = targetOf(host, options);
      await client.deregisterTargets(target, { abortSignal: signal });
      await waitFor(target, 'unused', signal);
    },
    restore: async ({ host, options }, { signal }) => {
      const target = targetOf(host, options);
      await client.registerTargets(target, { abortSignal: signal });
      await waitFor(target, 'healthy', signal);
    },
  };
};
