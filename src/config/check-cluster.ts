/**
 * What must hold of a cluster as a whole, and what its shape can't survive.
 *
 * The first voters are exactly `address` and `seeds`. A member that joins later needs no more than a seed that is in the
 * cluster, but its file says the same: so any member can be made anew from it.
 */
import { clusterKeysMax, isLoopbackMember, splitAddress } from './cluster-words.ts';
import type { Draft } from './draft.ts';
import { keyPlaceOf, type Ledger, placeOf } from './ledger.ts';
import { at } from './tree.ts';

type ClusterDraft = NonNullable<Draft['cluster']>;

export function checkCluster({ cluster, listen, admin, pools, preset }: Draft, ledger: Ledger): void {
  checkPreset({ preset, cluster }, ledger);
  if (!cluster) {
    const dataDir = at(ledger.tree, ['dataDir']);
    const used = pools.some(({ rest }) => rest === null || rest.failover !== undefined);
    if (cluster === undefined && !used && dataDir?.kind === 'scalar' && dataDir.fromEnv !== true)
      ledger.problems.warning(
        keyPlaceOf(ledger, ['dataDir']),
        'dataDir has no effect without cluster or failover',
        'remove it, or add one of them',
      );
    return;
  }
  checkVoters(cluster, ledger);
  checkKeys(cluster, ledger);
  checkShape(cluster, ledger);
  checkMachines(cluster, ledger);
  if (cluster.witness) checkWitness(pools, ledger);
  const own = cluster.witness ? [] : (listen ?? []);
  const taken = [...own, ...(admin ? [admin] : [])].some(({ address }) => address.name === cluster.address);
  if (taken)
    ledger.problems.error(
      placeOf(ledger, ['cluster', 'address']),
      `${cluster.address} is a listener's or the admin API's address as well`,
      'give one of them another port',
    );
}

function checkVoters({ address, seeds, expect }: ClusterDraft, ledger: Ledger): void {
  const voters = new Set([address, ...seeds]);
  if (voters.size === expect) return;
  const all = [...voters].join(', ');
  const written = at(ledger.tree, ['cluster', 'expect']);
  const from = written?.kind === 'scalar' && written.origin !== undefined ? ` (from ${written.origin})` : '';
  ledger.problems.error(
    placeOf(ledger, ['cluster', 'expect']),
    `expect is ${expect}${from}, but address and seeds are ${voters.size} member${voters.size === 1 ? '' : 's'}: ${all}`,
    'name in seeds every other member that forms the cluster, and no more; or correct expect',
  );
}

function checkKeys({ address, key }: ClusterDraft, ledger: Ledger): void {
  const place = placeOf(ledger, ['cluster', 'key']);
  if (key.length === 0 && !isLoopbackMember(address)) {
    ledger.problems.error(
      placeOf(ledger, ['cluster']),
      `without a key everybody who reaches ${address} could speak as a member`,
      `set cluster.key to \${CLUSTER_KEY:?set it}, made with: openssl rand -base64 32`,
    );
  }
  if (key.length > clusterKeysMax)
    ledger.problems.error(place, `there are ${key.length} keys; at most ${clusterKeysMax} are possible`);
  if (new Set(key).size < key.length) ledger.problems.error(place, 'a key is there twice', 'remove one of the two');
}

/** It would be accepted and ignored otherwise. Pools with failover are watched by a witness, too. */
function checkWitness(pools: Draft['pools'], ledger: Ledger): void {
  for (const { name, rest } of pools) {
    if (rest === null || rest.failover !== undefined) continue;
    ledger.problems.error(
      keyPlaceOf(ledger, ['pools', name]),
      `pool ${name} has no effect on a witness, which carries no traffic and watches pools with failover only`,
      'remove it, or remove cluster.witness',
    );
  }
  for (const key of ['listen', 'routes']) {
    if (at(ledger.tree, [key]) === null) continue;
    ledger.problems.error(
      keyPlaceOf(ledger, [key]),
      `${key} has no effect on a witness, which carries no traffic`,
      'remove it, or remove cluster.witness',
    );
  }
}

/** Quorum is more than half: one more member than an odd number makes nothing more survivable. */
function checkShape({ expect }: ClusterDraft, ledger: Ledger): void {
  const place = placeOf(ledger, ['cluster', 'expect']);
  if (expect === 2) {
    ledger.problems.warning(
      place,
      'a cluster of 2 members survives the loss of none: when either is gone, nothing can be agreed until it is back',
      'add a witness as the third member and set expect: 3',
    );
  } else if (expect % 2 === 0) {
    ledger.problems.warning(
      place,
      `a cluster of ${expect} members survives the loss of ${expect / 2 - 1}, no more than one of ${expect - 1} does, and not its split into halves`,
      `set expect to ${expect - 1} or ${expect + 1}`,
    );
  }
}

/** The fewest voters that each preset is meant for. */
const votersOf = { development: 1, 'simple-failover': 3, 'full-ha': 3, distributed: 5 } as const;

function checkPreset({ preset, cluster }: Pick<Draft, 'preset' | 'cluster'>, ledger: Ledger): void {
  if (!preset || preset === 'development' || cluster === null) return;
  const place = placeOf(ledger, ['preset']);
  if (cluster === undefined) {
    ledger.problems.warning(
      place,
      `preset ${preset} is one of a cluster, and there is none: this process alone survives no loss`,
      'add cluster, or take preset: development',
    );
    return;
  }
  const least = votersOf[preset];
  const { expect, zone } = cluster;
  if (expect < least) {
    ledger.problems.warning(
      placeOf(ledger, ['cluster', 'expect']),
      `preset ${preset} is for ${least} members${preset === 'distributed' ? ' or more' : ''}, expect is ${expect}`,
      `set expect to ${least}, or take another preset`,
    );
  }
  if (preset === 'distributed' && zone === '') {
    ledger.problems.warning(
      placeOf(ledger, ['cluster']),
      'cluster.zone is not set: nobody can tell which members are lost together, and whether a quorum is among them',
      'name the zone of each member, such as zone: eu-1a',
    );
  }
}

/** As many of the first voters on one machine as a quorum has. */
function checkMachines({ address, seeds }: ClusterDraft, ledger: Ledger): void {
  const voters = [...new Set([address, ...seeds])];
  // On loopback everybody sees that it is one machine.
  if (voters.length < 2 || isLoopbackMember(address)) return;
  const counts = new Map<string, number>();
  for (const voter of voters) {
    const { host } = splitAddress(voter);
    counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  const needed = Math.floor(voters.length / 2) + 1;
  for (const [host, count] of counts) {
    if (count === 1 || voters.length - count >= needed) continue;
    const which = count === voters.length ? `all ${count}` : `${count} of ${voters.length}`;
    ledger.problems.warning(
      placeOf(ledger, ['cluster', 'seeds']),
      `${which} members are at ${host}: with this machine the quorum is lost, and nothing can be agreed`,
      'put members on machines of their own',
    );
  }
}
