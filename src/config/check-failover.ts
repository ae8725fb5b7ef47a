/**
 * What must hold of a pool that has a primary: without it failover could not be safe, or could not happen.
 * The reasons stand in docs/FAILOVER.md.
 */
import { formatDuration } from '../base/units.ts';
import { rolesOf } from './build-failover.ts';
import type { Draft, NodeDraft, PoolDraft, PoolRest } from './draft.ts';
import { worstCase } from './failover-times.ts';
import { keyPlaceOf, type Ledger, placeOf } from './ledger.ts';
import { at, markAt, type Path } from './tree.ts';

type FailoverDraft = NonNullable<PoolRest['failover']>;

interface Context {
  readonly pool: PoolDraft;
  readonly rest: PoolRest;
  readonly failover: FailoverDraft;
  readonly draft: Draft;
  readonly ledger: Ledger;
}

export function checkFailover(draft: Draft, ledger: Ledger): void {
  for (const pool of draft.pools) {
    const { rest } = pool;
    if (rest === null) continue;
    if (rest.failover === undefined) checkUnused(pool, ledger);
    else {
      const context = { pool, rest, failover: rest.failover, draft, ledger };
      checkRoles(context);
      checkPolicy(context);
      checkHooks(context);
      checkDetection(context);
    }
  }
  checkRoutes(draft, ledger);
}

const pathOf = ({ pool }: { readonly pool: PoolDraft }, ...rest: Path): Path => ['pools', pool.name, ...rest];

/** It would be accepted and ignored otherwise. */
function checkUnused({ name, nodes }: PoolDraft, ledger: Ledger): void {
  const split = ['pools', name, 'split'];
  const add = `add failover: automatic (or manual) to pool ${name}, or remove it`;
  const unused = (path: Path, key: string): void => {
    if (at(ledger.tree, path) === null) return;
    ledger.problems.error(keyPlaceOf(ledger, path), `${key} has no effect without failover`, add);
  };
  unused(split, 'split');
  for (const [index] of nodes.entries())
    for (const key of ['role', 'priority', 'candidate']) unused(['pools', name, 'nodes', index, key], key);
}

function checkRoles(context: Context): void {
  const { pool, rest, failover, ledger } = context;
  if (pool.nodes.includes(null)) return;
  const nodes = rolesOf(pool.nodes as readonly NodeDraft[], true);
  const primaries = nodes.flatMap(({ role }, index) => (role === 'primary' ? [index] : []));
  const [first, second] = primaries;
  const roleOf = (index: number): Path => pathOf(context, 'nodes', index, 'role');
  if (second !== undefined)
    ledger.problems.error(
      placeOf(ledger, roleOf(second)),
      `pool ${pool.name} has two nodes with role: primary`,
      `the first is on line ${markAt(ledger.tree, roleOf(first ?? 0)).line}`,
    );
  if (first === undefined && nodes.length > 0)
    ledger.problems.error(
      keyPlaceOf(ledger, pathOf(context)),
      `no node of pool ${pool.name} can be its first primary`,
      'give one of them role: primary',
    );
  const others = nodes.filter((node, index) => node.candidate && index !== first).length;
  if (others === 0 && failover.mode === 'automatic' && nodes.length > 0)
    ledger.problems.warning(
      keyPlaceOf(ledger, pathOf(context, 'failover')),
      `pool ${pool.name} has no other node that could become primary`,
      'add a second node, or remove candidate: false',
    );
  const replicas = nodes.filter(({ role }) => role !== 'primary' && role !== 'standby').length;
  if (rest.split !== undefined && rest.split.minReplicas > replicas)
    ledger.problems.error(
      placeOf(ledger, pathOf(context, 'split', 'minReplicas')),
      `minReplicas is ${rest.split.minReplicas}, and pool ${pool.name} has ${replicas} besides its primary: no write would ever be taken`,
      'lower it, or add replicas',
    );
}

const safeMethods: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

function checkPolicy(context: Context): void {
  const { rest, failover, draft, ledger } = context;
  const { problems } = ledger;
  for (const [index, method] of rest.retry.methods.entries()) {
    if (safeMethods.includes(method)) continue;
    problems.error(
      placeOf(ledger, pathOf(context, 'retry', 'methods', index)),
      `${method} cannot be sent again in a pool with failover: the primary may have done it`,
      'remove it; what was not sent at all is sent again anyway',
    );
  }
  if (failover.mode !== 'automatic') return;
  if (failover.withoutQuorum === 'continue')
    problems.error(
      placeOf(ledger, pathOf(context, 'failover', 'withoutQuorum')),
      'withoutQuorum: continue could lead to two primaries with mode: automatic',
      'use mode: manual, or withoutQuorum: stop',
    );
  if (draft.cluster?.expect === 2)
    problems.error(
      placeOf(ledger, pathOf(context, 'failover')),
      'automatic failover is not possible with 2 voters: when one of them is gone, the other alone is no majority',
      'add a third member (witness: true is enough) and set expect: 3, or use mode: manual',
    );
}

function checkHooks(context: Context): void {
  const { failover, ledger } = context;
  for (const kind of ['demote', 'promote', 'rejoin'] as const) {
    const hook = failover[kind];
    if (hook === undefined) continue;
    const place = keyPlaceOf(ledger, pathOf(context, 'failover', kind));
    if (hook.post !== undefined && hook.exec !== undefined)
      ledger.problems.error(place, `${kind} has post or exec, not both`, 'remove one of them');
    if (hook.post === undefined && hook.exec === undefined)
      ledger.problems.error(place, `${kind} has neither post nor exec`, `write ${kind}: { post: /${kind} }`);
  }
}

const tcpChecks = {
  kind: 'tcp',
  interval: 2000,
  timeout: 1000,
  jitter: 0.1,
  fastInterval: undefined,
  downInterval: undefined,
} as const;

function checkDetection(context: Context): void {
  const { pool, rest, failover, draft, ledger } = context;
  const { problems } = ledger;
  if (rest.health === 'off' || rest.health === false) {
    problems.error(
      placeOf(ledger, pathOf(context, 'health')),
      `pool ${pool.name} has failover, and without checks nobody would know that its primary is gone`,
      'write health: { path: /health }, or leave health out for checks by connecting',
    );
    return;
  }
  const health = rest.health ?? tcpChecks;
  for (const key of ['fastInterval', 'downInterval'] as const) {
    if ((health[key] ?? 0) <= health.interval) continue;
    problems.error(
      placeOf(ledger, pathOf(context, 'health', key)),
      `${key} is longer than interval, and pool ${pool.name} has failover: reports of a node would be too old to count`,
      'lower it, or leave it out',
    );
  }
  if (failover.verify && health.kind === 'tcp')
    problems.error(
      keyPlaceOf(ledger, pathOf(context, 'failover', 'verify')),
      'verify has no effect with checks that only connect: no answer says whether the primary is heard',
      'use health: { path: /health }',
    );
  if (failover.mode !== 'automatic' || failover.parking.writes === 0) return;
  const fastInterval = health.fastInterval ?? Math.min(500, health.interval);
  const { total } = worstCase({
    failover: { failureThreshold: failover.failureThreshold, promote: failover.promote ?? null },
    health: { ...health, fastInterval },
    voters: draft.cluster?.expect ?? 1,
  });
  if (failover.parking.time < total)
    problems.warning(
      placeOf(ledger, pathOf(context, 'failover', 'parking', 'time')),
      `writes wait for ${formatDuration(failover.parking.time)}, and a failover of pool ${pool.name} may take ${formatDuration(total)}: some would be answered 503`,
      'raise parking.time, or lower health.interval, health.timeout, failureThreshold or promote.timeout',
    );
}

/** By what is written of a route, as in check-routes.ts. */
function checkRoutes({ routes, pools }: Draft, ledger: Ledger): void {
  for (const [index, route] of (routes ?? []).entries()) {
    if (route?.treatAs === undefined) continue;
    const pool = pools.find(({ name }) => name === route.pool);
    if (pool?.rest === null || pool?.rest.failover !== undefined) continue;
    if (pool === undefined && route.redirect === undefined) continue;
    const where = pool === undefined ? 'on a redirect' : `in pool ${pool.name}, which has no failover`;
    ledger.problems.error(
      keyPlaceOf(ledger, ['routes', index, 'treatAs']),
      `treatAs has no effect ${where}`,
      'remove it',
    );
  }
}
