/**
 * Config -> rows: the flat tables that are diffed, sent to the data threads and compiled there. Pure; the slots of the
 * scoreboard are looked up through functions. Revisions of pools are the publisher's: they are 0 here.
 */
import { assert } from '../base/assert.ts';
import { hash32 } from '../base/hash.ts';
import type { NodeId } from '../base/ids.ts';
import type {
  Config,
  FieldEdits,
  NodeAddress,
  NodeConfig,
  PoolConfig,
  RouteConfig,
  UpstreamTls,
} from '../config/model.ts';
import type { Tables } from './compile.ts';
import { hostOf } from './rewrite.ts';
import type { NodeRow, PoolRow, PrimaryRow, RouteRow, Settings } from './snapshot.ts';

/** Where each thing counts in the scoreboard. May throw if a table is full; nothing has changed then. */
export interface SlotLookups {
  pool(name: string): number;
  node(pool: string, id: NodeId, url: string): { readonly slot: number; readonly generation: number };
  route(name: string): number;
  listener(name: string): number;
}

/** All rows of a config. `tls`: what stands in the files of pools with https nodes, by pool. Throws AssertionError for a field edit that could break a head in two. */
export function buildRows(
  config: Config,
  slots: SlotLookups,
  tls: ReadonlyMap<string, UpstreamTls> = new Map(),
): Tables {
  return {
    settings: settingsOf(config),
    pools: config.pools.map((pool) => ({
      ...poolRow(pool, slots, tls.get(pool.name) ?? null),
      primary: primaryRow(pool, config.cluster === null),
    })),
    nodes: new Map(config.pools.map((pool) => [pool.name, pool.nodes.map((node) => nodeRow(pool.name, node, slots))])),
    routes: config.routes.map((route) => routeRow(route, slots)),
    listeners: Object.fromEntries(config.listen.map((listener) => [listener.name, slots.listener(listener.name)])),
  };
}

function settingsOf(config: Config): Settings {
  return {
    timeouts: config.timeouts,
    limits: config.limits,
    fields: config.fields,
    trustedProxies: config.trustedProxies,
    accessLog: config.log.access !== 'off',
  };
}

function primaryRow({ failover, split }: PoolConfig, alone: boolean): PrimaryRow | null {
  return failover === null || split === null ? null : { parking: failover.parking, split, alone };
}

function poolRow(pool: PoolConfig, slots: SlotLookups, tls: UpstreamTls | null): Omit<PoolRow, 'primary'> {
  const { tls: _names, ...upstream } = pool.upstream;
  return {
    name: pool.name,
    slot: slots.pool(pool.name),
    revision: 0,
    balance: pool.balance,
    retry: pool.retry,
    upstream,
    tls,
    limits: pool.limits,
    errorsToEject: pool.passive.consecutiveErrors,
    nodeCount: pool.nodes.length,
  };
}

function nodeRow(pool: string, node: NodeConfig, slots: SlotLookups): NodeRow {
  const { slot, generation } = slots.node(pool, node.id, node.url);
  return {
    pool,
    id: node.id,
    slot,
    generation,
    address: node.address,
    authority: authorityOf(node.address),
    key: hash32(node.id),
    backup: node.backup,
  };
}

/** host:port, an IPv6 address in brackets; `localhost` for a unix socket. */
function authorityOf(address: NodeAddress): string {
  if (address.kind === 'unix') return 'localhost';
  const bare = address.host.includes(':') && !address.host.startsWith('[');
  return `${bare ? `[${address.host}]` : address.host}:${address.port}`;
}

function routeRow(route: RouteConfig, slots: SlotLookups): RouteRow {
  assertPlain(route.name, route.requestFields);
  assertPlain(route.name, route.responseFields);
  return { ...route, host: route.host === null ? null : hostOf(route.host), slot: slots.route(route.name) };
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Heads leave as latin1: a character above 0xff would be cut to its low byte, and U+010A to a line feed. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The config has been validated; this holds even if a way around that is found. */
function assertPlain(route: string, edits: FieldEdits): void {
  for (const { name, value } of edits.set) {
    assert(token.test(name), `route ${route}: field name ${JSON.stringify(name)} is no token; correct its set`);
    assert(fieldValue.test(value), `route ${route}: the value of ${name} holds a character that no field may hold`);
  }
}
