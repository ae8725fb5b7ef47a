/** The process as those who watch it see it (observe/source.ts): names, slots and states of this instant, no numbers. */
import type { PoolConfig } from '../config/model.ts';
import type { NodeHealthView } from '../health/contract.ts';
import type { ObservedConfig, ObservedListener, ObservedNode, ObservedPool, ObservedState } from '../observe/source.ts';
import { certificatesOf } from './certificates.ts';
import type { ClusterMember } from './cluster-member.ts';
import type { Control } from './control.ts';
import type { FailoverRoom } from './failover-room.ts';

export interface ProcessFacts {
  readonly version: string;
  readonly config: Omit<ObservedConfig, 'version'>;
  readonly member: ClusterMember | null;
  readonly failover: FailoverRoom | null;
}

export function observe(control: Control, facts: ProcessFacts): ObservedState {
  const { config } = control.loaded;
  return {
    version: facts.version,
    pid: process.pid,
    at: Date.now(),
    uptime: process.uptime() * 1000,
    config: { ...facts.config, version: control.version },
    threads: control.threads.states(),
    listeners: config.listen.map(({ name }) => listener(control, name)),
    pools: pools(control),
    routes: config.routes.map(({ name, action }) => ({
      name,
      slot: control.slots.route(name),
      pool: action.kind === 'pool' ? action.pool : null,
    })),
    cluster: facts.member?.observe() ?? null,
    failover: facts.failover?.observe((pool) => control.slots.pool(pool)) ?? [],
  };
}

function listener(control: Control, name: string): ObservedListener {
  const tls = control.loaded.tls.get(name);
  return {
    name,
    slot: control.slots.listener(name),
    tls: tls !== undefined,
    certificates: tls === undefined ? [] : certificatesOf(tls),
    open: control.isOpen(name),
  };
}

function pools(control: Control): ObservedPool[] {
  const views = Map.groupBy(control.monitor.views(), ({ pool }) => pool);
  return control.loaded.config.pools.map((pool) => ({
    name: pool.name,
    slot: control.slots.pool(pool.name),
    algorithm: pool.balance.algorithm,
    health: control.monitor.pool(pool.name),
    nodes: nodes(control, pool, views.get(pool.name) ?? []),
  }));
}

function nodes(control: Control, pool: PoolConfig, views: readonly NodeHealthView[]): ObservedNode[] {
  const byId = new Map(views.map((view) => [view.node, view]));
  return pool.nodes.flatMap(({ id, url, backup, weight }): ObservedNode[] => {
    const health = byId.get(id);
    const { slot } = control.slots.node(pool.name, id, url);
    return health === undefined ? [] : [{ id, url, slot, backup, weight, health }];
  });
}
