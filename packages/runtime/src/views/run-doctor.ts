import type { Sandbox } from '@pipit/core';
import type { AuditRights } from '@pipit/engine-dbos';
import type { Finding } from '../api.js';
import { createCall } from '../effects.js';
import { findGitVersion } from '../sources/git-sources.js';
import type { ViewPorts } from './view-ports.js';

const DEADLINE_MS = 30_000;

const auditFinding = ({ role, excess }: AuditRights): Finding =>
  excess.length === 0
    ? { instance: 'pipit', name: 'audit trail', ok: true, detail: `the database's role ${role} can only read it and add to it` }
    : {
        instance: 'pipit',
        name: 'audit trail',
        ok: false,
        detail: `the database's role ${role} could rewrite it (${excess.join(', ')})`,
        hint: 'Give pipit a role that owns nothing as database.url, and the owner as database.ownerUrl: see docs/audit-trail.md.',
      };

const headsFinding = (fault: string | undefined): Finding =>
  fault === undefined
    ? { instance: 'pipit', name: 'audit heads', ok: true, detail: 'the trail is what was signed' }
    : {
        instance: 'pipit',
        name: 'audit heads',
        ok: false,
        detail: fault,
        hint: 'Find out who changed the database. After a restored backup, remove keys/audit-head.json of the data folder: see docs/audit-trail.md.',
      };

/** Asks pipit itself and every plugin instance how it is: each check by name, ok or what to do. */
export const runDoctor = async (
  ports: ViewPorts,
  own: {
    readonly workFolder: string;
    readonly sandbox: Pick<Sandbox, 'mode' | 'gaps'>;
    readonly unguarded: string | undefined;
    readonly quarantine: string | null;
    readonly auditRights: AuditRights;
    readonly auditFault: string | undefined;
  },
): Promise<readonly Finding[]> => {
  const git = await findGitVersion(own.workFolder, ports.signal);
  const findings: Finding[] = [
    { instance: 'pipit', name: 'database', ok: true, detail: `${(await ports.records.list('apps')).length} apps` },
    git === undefined
      ? { instance: 'pipit', name: 'git', ok: false, hint: 'Install git: apt-get install git' }
      : { instance: 'pipit', name: 'git', ok: true, detail: git },
    {
      instance: 'pipit',
      name: 'sandbox',
      ok: own.sandbox.mode !== 'trusted',
      detail: own.sandbox.mode,
      ...(own.sandbox.mode === 'trusted'
        ? { hint: 'Repositories run as pipit itself (trustRepositories: true); install bubblewrap and take it out.' }
        : {}),
    },
    ...own.sandbox.gaps.map(({ name, detail, hint }) => ({ instance: 'pipit', name: `sandbox: ${name}`, ok: false, detail, hint })),
    own.unguarded === undefined
      ? { instance: 'pipit', name: 'data folder lock', ok: true, detail: 'held by the kernel' }
      : {
          instance: 'pipit',
          name: 'data folder lock',
          ok: false,
          detail: `${own.unguarded}; a server that is paused for long loses its data folder to a second one`,
          hint: 'Keep the data folder on a local file system, and install util-linux.',
        },
    auditFinding(own.auditRights),
    headsFinding(own.auditFault),
    own.quarantine === null
      ? { instance: 'pipit', name: 'quarantine', ok: true, detail: 'none' }
      : {
          instance: 'pipit',
          name: 'quarantine',
          ok: false,
          detail: own.quarantine,
          hint: 'Find out why, then: pipit reconcile --reason "..."',
        },
  ];
  const left = (await ports.records.list('cleanups')).filter((row) => row.lastError !== null);
  findings.push(
    left.length === 0
      ? { instance: 'pipit', name: 'clean-up', ok: true, detail: 'nothing is left behind' }
      : {
          instance: 'pipit',
          name: 'clean-up',
          ok: false,
          detail: `${left.length} folders could not be removed yet; ${left[0]?.target}: ${left[0]?.lastError}`,
          hint: 'Pipit tries again each minute. Bring the host back, or remove the folder there by hand.',
        },
  );
  for (const name of ports.instances.names) {
    const instance = ports.instances.get(name);
    if (instance?.checkHealth === undefined) {
      findings.push({ instance: name, name: 'health', ok: true, detail: 'the plugin checks nothing itself' });
      continue;
    }
    try {
      const found = await instance.checkHealth(createCall(ports.logger, ports.signal, DEADLINE_MS));
      findings.push(...found.map((finding) => ({ instance: name, ...finding })));
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      findings.push({ instance: name, name: 'health', ok: false, detail, hint: 'The check itself failed: see the log.' });
    }
  }
  return findings;
};
