import { type AppName, type HostReport, parsePackageName } from '@pipit/core';
import { definitionFor } from '@pipit/pipeline';
import type { HostView } from '../api.js';
import { createCall } from '../effects.js';
import { unknown } from './unknown.js';
import type { ViewPorts } from './view-ports.js';

const DEADLINE_MS = 30_000;

/** Hosts of every ring as they are now, from discovery, the advertised versions and the hosts themselves. */
export const listHosts = async (
  ports: ViewPorts,
  query: { readonly app: string; readonly role?: string },
): Promise<readonly HostView[]> => {
  const { records, catalog } = ports;
  const row = await records.get('apps', { app: query.app as AppName }); // a name that nobody has finds nothing
  const found = row && catalog.of(row);
  if (row === undefined || found === undefined)
    throw unknown({ code: 'APP_UNKNOWN', message: `No app ${query.app} is known`, hint: 'See `pipit apps`.' });
  const definition = definitionFor(found, row.app);
  const [latest] = await records.list('runs', { where: { app: row.app }, orderBy: ['number', 'descending'], limit: 1 });
  const role = latest?.role ?? definition.roleOf(row.app);
  const call = createCall(ports.logger, ports.signal, DEADLINE_MS);
  const { discovery, advertiser, deployer } = definition;
  const seen = new Set<string>();
  const views: HostView[] = [];
  for (const { name } of definition.rings) {
    const ring = { app: row.app, role, ring: name };
    const { hosts } = await discovery.subject.findHosts({ target: ring, options: discovery.options }, call);
    const own = hosts.filter((host) => !seen.has(host.id));
    for (const host of own) seen.add(host.id);
    const { current } = await advertiser.subject.read({ ring, options: advertiser.options }, call);
    const packages = [...new Set(current?.artifacts.map((artifact) => artifact.name) ?? [parsePackageName(row.app)])];
    const health = definition.healthOf(row.app) ?? latest?.health ?? null;
    const reports: readonly HostReport[] = await ports.withOp('hosts', deployer, undefined, (op) =>
      deployer.subject.observe(
        { ring, packages, hosts: own, options: deployer.options, ...(health === null ? {} : { check: health }) },
        op,
      ),
    );
    for (const host of own) {
      const report = reports.find((each) => each.hostId === host.id) ?? null;
      views.push({
        ring: name,
        hostId: host.id,
        address: host.address,
        available: host.available,
        reason: host.reason ?? null,
        attributes: host.attributes,
        advertised: current === undefined ? null : { version: current.version, sequence: current.sequence },
        report,
        converged:
          current !== undefined && report?.installed?.version === current.version && report.installed.sequence === current.sequence,
      });
    }
  }
  return views;
};
