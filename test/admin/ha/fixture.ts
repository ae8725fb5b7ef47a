/** A cluster for the admin API: the coordinator of one, on a clock that the test moves, and what members say. */
import type { HaActions, MemberChange } from '../../../src/admin/ha/actions.ts';
import type { MemberId } from '../../../src/base/ids.ts';
import type { Result } from '../../../src/base/result.ts';
import { err, ok } from '../../../src/base/result.ts';
import type { Coordinator, CoordinatorError } from '../../../src/cluster/coordinator.ts';
import type { CallError, MemberLine, MemberStatus } from '../../../src/cluster/member/contract.ts';
import { LocalCoordinator, type LocalOptions } from '../../../src/cluster/replica/local.ts';
import { kvRoom, lockRoom, read } from '../../../src/cluster/replica/rooms.ts';

const id = (text: string): MemberId => text as MemberId;

export const wall = Date.UTC(2026, 0, 2);

export function memberLine(change: Partial<MemberLine> = {}): MemberLine {
  return {
    id: id('uid-1'),
    name: 'node-1',
    address: '10.0.0.1:7946',
    boot: 1,
    state: 'LEADER',
    reason: '',
    seat: 'voter',
    metadata: { version: '1.0.0', priority: 100, witness: false, admin: '10.0.0.1:9090', zone: 'a' },
    reach: 'unknown',
    blindTo: [],
    lag: { entries: 0, seconds: 0 },
    self: true,
    ...change,
  };
}

export const threeMembers: readonly MemberLine[] = [
  memberLine(),
  memberLine({
    id: id('uid-2'),
    name: 'node-2',
    address: '10.0.0.2:7946',
    state: 'ACTIVE',
    reach: 'direct',
    self: false,
  }),
  memberLine({
    id: id('uid-3'),
    name: 'node-3',
    state: 'DEGRADED',
    reason: 'it is 1200 entries and 6 s behind',
    reach: 'indirect',
    blindTo: [id('uid-2')],
    lag: { entries: 1200, seconds: 6 },
    self: false,
  }),
];

export function memberStatus(change: Partial<MemberStatus> = {}): MemberStatus {
  return {
    uid: id('uid-1'),
    boot: 1,
    cluster: 'c1',
    phase: 'running',
    stop: null,
    state: 'STABLE',
    reason: '',
    leader: id('uid-1'),
    term: 7,
    quorum: true,
    missing: [],
    members: threeMembers,
    agreedNow: wall,
    raft: null,
    refused: new Map(),
    calls: 0,
    ...change,
  };
}

export interface ClusterOfOne {
  readonly ha: HaActions;
  readonly coordinator: LocalCoordinator;
  status: MemberStatus;
  /** What transfer, leave and change answer. */
  verdict: Result<null, CallError>;
  readonly called: (string | null | boolean | MemberChange)[];
  /** From now on every read and write is refused so; null: no more. */
  refusal: CoordinatorError | null;
  /** How many were refused so. */
  refused: number;
  pass(ms: number): void;
}

/** What stands for a backup here: the admin API looks into none. */
export const backupParts: readonly Uint8Array[] = [Uint8Array.of(1, 2), Uint8Array.of(3)];

export function clusterOfOne(bounds: Pick<LocalOptions, 'watchersMax' | 'limits'> = {}): ClusterOfOne {
  let now = 1000;
  const coordinator = new LocalCoordinator({
    uid: 'uid-1',
    clock: () => now,
    wall,
    ...bounds,
  });
  const called: ClusterOfOne['called'] = [];
  const note = (what: ClusterOfOne['called'][number]): Promise<Result<null, CallError>> => {
    called.push(what);
    return Promise.resolve(cluster.verdict);
  };
  const cluster: ClusterOfOne = {
    ha: {
      coordinator: refusable(coordinator, () => {
        if (cluster.refusal !== null) cluster.refused += 1;
        return cluster.refusal;
      }),
      status: () => cluster.status,
      transfer: (to) => note(to),
      leave: ({ forGood }) => note(forGood),
      change: (change) => note(change),
      net: () => ({ keys: ['00ab'], dropped: { key: 2, forged: 0 } }),
      backup: (consistency) => {
        const refused = consistency === 'eventual' ? null : cluster.refusal;
        return Promise.resolve(refused === null ? ok(backupParts) : err(refused));
      },
    },
    coordinator,
    status: memberStatus(),
    verdict: ok(null),
    called,
    refusal: null,
    refused: 0,
    pass: (ms) => {
      now += ms;
      coordinator.tick();
    },
  };
  return cluster;
}

/** The real rooms, on an engine that can be told to refuse: what a cluster of one never says. */
function refusable(local: LocalCoordinator, refusal: () => CoordinatorError | null): Coordinator {
  const guard = <T>(go: () => T): T | Promise<Result<never, CoordinatorError>> => {
    const error = refusal();
    return error === null ? go() : Promise.resolve(err(error));
  };
  const engine = {
    get replica() {
      return local.replica;
    },
    hub: local.hub,
    propose: (...args: Parameters<LocalCoordinator['propose']>) => guard(() => local.propose(...args)),
    ready: (consistency: string) =>
      consistency === 'eventual'
        ? Promise.resolve(ok({ kind: 'local', ageMs: 40 } as const))
        : guard(() => local.ready()),
  };
  return {
    kv: kvRoom(engine),
    lock: lockRoom(engine),
    lease: local.lease,
    leader: () => local.leader(),
    watch: (options, sink) => local.watch(options, sink),
    observe: (sink) => local.observe(sink),
    records: (what, options) => local.records(what, options),
    pools: (options) => local.pools(options),
    history: (after, options) => read(engine, options, ({ history }) => ok(history.after(after))),
    propose: engine.propose,
    writeLease: (pool, epoch) => local.writeLease(pool, epoch),
  };
}
