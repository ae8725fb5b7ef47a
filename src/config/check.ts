/**
 * What no single value can know: names that refer to each other, values that exclude each other, capacities.
 * Works on a Draft with holes, so that it can speak even where something else did not pass.
 */
import { isLoopback } from './addresses.ts';
import { checkCluster } from './check-cluster.ts';
import { checkFailover } from './check-failover.ts';
import { checkRoutes } from './check-routes.ts';
import type { Draft, PoolDraft, PoolRest } from './draft.ts';
import { itemPath, keyPlaceOf, type Ledger, placeOf } from './ledger.ts';
import type { ListenAddress } from './model.ts';
import { at, markAt, type Path } from './tree.ts';

/** No more than the scoreboard has room for, whose size is fixed when the process starts. */
export const capacity = { nodes: 16_384, pools: 1024, routes: 16_384, listeners: 64 } as const;

/** Exact least-connections looks at every node; past this it looks at 16 of them. */
const exactLeastConnections = 128;

export function checkDraft(draft: Draft, ledger: Ledger): void {
  checkListeners(draft, ledger);
  checkAdmin(draft, ledger);
  checkLimits(draft, ledger);
  checkCluster(draft, ledger);
  for (const pool of draft.pools) checkPool(pool, ledger);
  checkCapacity(draft, ledger);
  checkRoutes(draft, ledger);
  checkFailover(draft, ledger);
}

function checkListeners({ listen, admin }: Draft, ledger: Ledger): void {
  const seen = new Map<string, number>();
  for (const [index, { address, tls }] of (listen ?? []).entries()) {
    const path = itemPath(ledger.tree, 'listen', index);
    if (tls !== undefined) checkTls(tls, [...path, 'tls'], ledger);
    const place = placeOf(ledger, path);
    const anyPort = address.address.kind === 'tcp' && address.address.port === 0;
    if (seen.has(address.name)) {
      if (anyPort)
        ledger.problems.error(
          place,
          'two listeners cannot both be on port 0 of the same address',
          'their names would be the same',
        );
      else ledger.problems.error(place, `${address.name} is listened on twice`, 'remove one of the two');
    }
    seen.set(address.name, index);
    if (admin && admin.address.name === address.name && !anyPort) {
      ledger.problems.error(place, `${address.name} is the admin address as well`, 'give one of them another port');
    } else if (
      admin &&
      (holds(address.address, admin.address.address) || holds(admin.address.address, address.address))
    ) {
      const message = `${address.name} has the port of the admin address ${admin.address.name}`;
      ledger.problems.error(place, message, 'give one of them another port');
    }
  }
  if (seen.size > capacity.listeners) {
    ledger.problems.error(
      placeOf(ledger, ['listen']),
      `there are ${seen.size} listeners; at most ${capacity.listeners} are possible`,
    );
  }
}

/** All addresses of the machine, and the other is one of them. `::` is IPv4 as well. */
function holds(all: ListenAddress, one: ListenAddress): boolean {
  if (all.kind !== 'tcp' || one.kind !== 'tcp' || all.port !== one.port || all.port === 0) return false;
  return all.host === '::' || (all.host === '0.0.0.0' && !one.host.includes(':'));
}

function checkTls(tls: NonNullable<NonNullable<Draft['listen']>[number]['tls']>, path: Path, ledger: Ledger): void {
  for (const which of ['cert', 'key'] as const) {
    const given = tls[which] !== undefined;
    if (given && tls.certificates !== undefined)
      ledger.problems.error(
        keyPlaceOf(ledger, [...path, which]),
        `${which} and certificates exclude each other`,
        'make it one more item of certificates',
      );
    else if (!given && tls.certificates === undefined)
      ledger.problems.error(
        placeOf(ledger, [...path, which]),
        `${which} is missing`,
        'name the PEM files of the certificate: { cert: site.pem, key: site.key }',
      );
  }
}

function checkAdmin({ admin }: Draft, ledger: Ledger): void {
  if (!admin) return;
  const { token, address } = admin;
  if (token === null && !isLoopback(address.address)) {
    ledger.problems.error(
      placeOf(ledger, ['admin']),
      `the admin API would be open to everybody who reaches ${address.name}`,
      `set admin.token, for example to \${ADMIN_TOKEN:?set a secret}, or use a loopback address such as 127.0.0.1:9090`,
    );
  }
  if (token !== null && token.length < 16) {
    ledger.problems.warning(
      placeOf(ledger, ['admin', 'token']),
      'the admin token has fewer than 16 characters and could be guessed',
      'take a random one: openssl rand -hex 32',
    );
  }
}

function checkLimits({ limits }: Draft, ledger: Ledger): void {
  if (!limits) return;
  for (const key of ['maxField', 'maxTarget'] as const) {
    if (limits[key] > limits.maxHead) {
      const written = at(ledger.tree, ['limits', key]) !== null ? key : 'maxHead';
      ledger.problems.error(
        placeOf(ledger, ['limits', written]),
        `${key} is larger than maxHead, which holds it`,
        `lower ${key} or raise maxHead`,
      );
    }
  }
}

function checkCapacity({ pools, routes }: Draft, ledger: Ledger): void {
  const nodes = pools.reduce((sum, pool) => sum + pool.nodes.length, 0);
  const over = (key: string, count: number, most: number, what: string): void => {
    if (count > most)
      ledger.problems.error(placeOf(ledger, [key]), `there are ${count} ${what}; at most ${most} are possible`);
  };
  over('pools', nodes, capacity.nodes, 'nodes in all pools');
  over('pools', pools.length, capacity.pools, 'pools');
  over('routes', routes?.length ?? 0, capacity.routes, 'routes');
}

function checkPool(pool: PoolDraft, ledger: Ledger): void {
  checkNodes(pool, ledger);
  if (!pool.rest) return;
  const path = ['pools', pool.name];
  checkBalance(pool, pool.rest, ledger);
  checkHealth(pool, pool.rest, ledger);
  checkUpstreamTls(pool, pool.rest, ledger);
  const { passive } = pool.rest;
  if (typeof passive === 'object' && passive.ejectBase > passive.ejectMax) {
    const written = at(ledger.tree, [...path, 'passive', 'ejectBase']) ? 'ejectBase' : 'ejectMax';
    ledger.problems.error(
      placeOf(ledger, [...path, 'passive', written]),
      'ejectBase is longer than ejectMax',
      'lower ejectBase or raise ejectMax',
    );
  }
}

function checkNodes({ name, nodes }: PoolDraft, ledger: Ledger): void {
  const ids = new Map<string, number>();
  const urls = new Map<string, number>();
  for (const [index, node] of nodes.entries()) {
    if (!node) continue;
    const path = ['pools', name, 'nodes', index];
    const id = node.id ?? node.place.id;
    const lineOf = (other: number): string =>
      `the first is on line ${markAt(ledger.tree, ['pools', name, 'nodes', other]).line}`;
    const sameUrl = urls.get(node.place.id);
    const sameId = ids.get(id);
    if (sameUrl !== undefined)
      ledger.problems.error(placeOf(ledger, path), `${node.place.url} is in pool ${name} twice`, lineOf(sameUrl));
    else if (sameId !== undefined)
      ledger.problems.error(placeOf(ledger, path), `the id ${id} is in pool ${name} twice`, lineOf(sameId));
    if (sameUrl === undefined) urls.set(node.place.id, index);
    if (sameId === undefined) ids.set(id, index);
  }
  if (nodes.length > 0 && nodes.every((node) => node !== null && (node.weight === 0 || node.wish !== 'ready'))) {
    ledger.problems.warning(
      keyPlaceOf(ledger, ['pools', name]),
      `no node of pool ${name} takes traffic: each has weight 0 or the wish drain or maint`,
    );
  }
}

function checkBalance({ name, nodes }: PoolDraft, { balance }: PoolRest, ledger: Ledger): void {
  const path = ['pools', name, 'balance'];
  if (balance.key !== undefined && balance.algorithm !== 'consistent-hash') {
    ledger.problems.error(
      placeOf(ledger, [...path, 'key']),
      `key has no effect with ${balance.algorithm}`,
      'remove it, or use consistent-hash',
    );
  }
  if (balance.algorithm === 'least-connections' && nodes.length > exactLeastConnections) {
    const place = at(ledger.tree, path) ? placeOf(ledger, path) : keyPlaceOf(ledger, ['pools', name]);
    ledger.problems.warning(
      place,
      `pool ${name} has ${nodes.length} nodes: above ${exactLeastConnections}, least-connections takes the best of 16 draws instead of the best of all`,
      'this is close to exact; random-two or peak-ewma say so by name',
    );
  }
}

/** What a connect has no use for. */
const httpOnly = ['path', 'method', 'host', 'status', 'body'] as const;

function checkHealth({ name, nodes }: PoolDraft, { health }: PoolRest, ledger: Ledger): void {
  if (typeof health !== 'object') return;
  const path = ['pools', name, 'health'];
  if (health.kind === 'tcp') {
    for (const key of httpOnly) {
      if (health[key] === undefined) continue;
      ledger.problems.error(
        keyPlaceOf(ledger, [...path, key]),
        `${key} has no effect with kind: tcp`,
        'remove it, or use kind: http',
      );
    }
  }
  if (health.method === 'HEAD' && health.body !== undefined) {
    ledger.problems.error(
      keyPlaceOf(ledger, [...path, 'body']),
      'an answer to HEAD has no body to look into',
      'use method: GET',
    );
  }
  if (health.port !== undefined && nodes.some((node) => node?.place.address.kind === 'unix')) {
    ledger.problems.error(
      keyPlaceOf(ledger, [...path, 'port']),
      `pool ${name} has unix: nodes, which have no port`,
      'remove port',
    );
  }
}

function checkUpstreamTls({ name, nodes }: PoolDraft, { upstream }: PoolRest, ledger: Ledger): void {
  const path = ['pools', name, 'upstream', 'tls'];
  if (at(ledger.tree, path) === null) return;
  const encrypted = nodes.some(
    (node) => node === null || (node.place.address.kind === 'tcp' && node.place.address.tls),
  );
  if (!encrypted)
    ledger.problems.error(keyPlaceOf(ledger, path), 'tls has no effect: no node of the pool is https', 'remove it');
  const { ca, cert, key, verify, servername } = upstream.tls;
  if ((cert === undefined) !== (key === undefined)) {
    const missing = cert === undefined ? 'cert' : 'key';
    ledger.problems.error(placeOf(ledger, [...path, missing]), `${missing} is missing`, 'cert and key go together');
  }
  if (verify) return;
  if (ca !== undefined)
    ledger.problems.error(
      keyPlaceOf(ledger, [...path, 'ca']),
      'ca has no effect with verify: false',
      'remove one of them',
    );
  const hint = 'name their authority in ca, or the name they have in servername';
  const what = servername === undefined ? '' : ` as ${servername}`;
  ledger.problems.warning(
    placeOf(ledger, [...path, 'verify']),
    `the nodes of pool ${name} are not verified: whoever is in between can pose${what} as one of them`,
    hint,
  );
}
