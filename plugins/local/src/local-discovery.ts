import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Call,
  type Cursor,
  type Discovery,
  type HealthFinding,
  type Host,
  type HostQuery,
  isPluginError,
  PluginError,
  ringTag,
} from '@pipit/core';
import { machineArchitecture } from './apt-repository.js';
import { holdUntilChanged } from './hold-until-changed.js';
import { type InventoryHost, parseInventory } from './inventory.js';

export interface LocalDiscoveryOptions {
  /** Config field `inventory`: the YAML file's path. Read anew at each question. */
  readonly inventory: string;
  /** The deployer's folder: a file `<folder>/hosts/<id>/down` marks a host as unavailable. */
  readonly folder: string;
}

const readInventory = async (file: string): Promise<readonly InventoryHost[]> => {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    throw new PluginError({
      code: 'INVENTORY_NOT_READABLE',
      message: `The inventory ${file} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      hint: 'Make the file, or say in `inventory:` where it is. An inventory without hosts is: hosts: {}',
      recovery: 'retry',
      cause: thrown,
    });
  }
  return parseInventory(text, file);
};

/** Knows the hosts of a YAML inventory: `hosts: { web1: { address: 127.77.0.11, tags: ["web::app_canary"] } }`. */
export const createLocalDiscovery = <Options>(
  options: LocalDiscoveryOptions,
): Discovery<Options> & { checkHealth(call: Call): Promise<readonly HealthFinding[]> } => {
  const hostOf = (listed: InventoryHost): Host => {
    const marker = join(options.folder, 'hosts', listed.id, 'down');
    const isMarked = existsSync(marker);
    const reason = isMarked
      ? `marked as down by ${marker}`
      : listed.available
        ? undefined
        : (listed.reason ?? 'available: false in the inventory');
    return {
      id: listed.id,
      address: listed.address,
      available: listed.available && !isMarked,
      ...(reason === undefined ? {} : { reason }),
      // Hosts are folders of this machine, so what runs there is of its architecture.
      attributes: { architecture: machineArchitecture(), ...listed.attributes },
    };
  };

  const look = async (target: HostQuery<Options>['target']): Promise<{ readonly hosts: readonly Host[]; readonly cursor: Cursor }> => {
    const isMember = (listed: InventoryHost): boolean =>
      'service' in target ? listed.services.includes(target.service) : listed.tags.includes(ringTag(target));
    const hosts = (await readInventory(options.inventory)).filter(isMember).map(hostOf);
    return { hosts, cursor: createHash('sha256').update(JSON.stringify(hosts)).digest('hex') };
  };

  return {
    findHosts: ({ target, after }, call) => holdUntilChanged(() => look(target), after, call),

    async checkHealth() {
      try {
        const listed = await readInventory(options.inventory);
        return [{ name: 'inventory', ok: true, detail: `${listed.length} hosts in ${options.inventory}` }];
      } catch (thrown) {
        if (!isPluginError(thrown)) throw thrown;
        return [{ name: 'inventory', ok: false, detail: thrown.message, ...(thrown.hint === undefined ? {} : { hint: thrown.hint }) }];
      }
    },
  };
};
