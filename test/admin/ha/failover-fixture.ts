/** Failover for the admin API: pools as a test says, and commands that are noted and answered as it says. */
import type { FailoverActions, NodeChange, PoolView } from '../../../src/admin/ha/failover-actions.ts';
import { err, ok } from '../../../src/base/result.ts';
import type { CoordinatorError } from '../../../src/cluster/coordinator.ts';
import type {
  CommandAnswer,
  FailoverCommand,
  FailoverEvent,
  PoolStatus,
} from '../../../src/cluster/failover/contract.ts';
import type { PoolPolicy, PoolRecord } from '../../../src/cluster/failover/model.ts';
import type { HistoryEvent } from '../../../src/cluster/replica/model.ts';
import { wall } from './fixture.ts';

const target = { node: 'a', url: 'http://10.0.0.1:1' };

export const record: PoolRecord = {
  ...{ pool: 'app', step: 3, epoch: 7, phase: 'open', target, reason: 'failover', policy: 'p' },
  ...{ last: { epoch: 6, target: { node: 'b', url: 'http://10.0.0.2:1' } }, forks: [], hooks: [], excluded: [] },
  ...{ returning: ['b'], automatic: true, failures: 0, retryAt: 0, planned: null, lastFailoverAt: wall },
  ...{ unleased: false, allowed: null, flaps: 0 },
  times: { chosenAt: wall - 90, fencedAt: wall - 60, promotedAt: 0, openedAt: wall },
} as PoolRecord;

type NodeShown = PoolStatus['nodes'][number];
const node = (name: string, role: NodeShown['role'], change: Partial<NodeShown> = {}): NodeShown => ({
  ...{ node: name, role, up: true, position: 40, lag: 5, down: [], detail: '200 in 3 ms', ...change },
});

const policy = {
  ...{ pool: 'app', mode: 'automatic', hash: 'p' },
  nodes: ['a', 'b', 'c'].map((id) => ({ id, url: `http://${id}`, role: 'replica', priority: 100, candidate: true })),
} as unknown as PoolPolicy;

export function poolView(change: Partial<PoolStatus> = {}, more: Partial<PoolView> = {}): PoolView {
  const nodes = [node('a', 'PRIMARY'), node('b', 'SECONDARY'), node('c', 'SECONDARY', { up: false, position: null })];
  return {
    status: {
      ...{ pool: 'app', state: 'RECOVERING', reason: 'b is back, without reads yet', record, writeUntil: 9000 },
      ...{ stopped: '', nodes, linkFault: false, differing: [], ...change },
    },
    ...{ policy, parked: 0, lacking: '', now: 8000, agreedNow: wall, ...more },
  };
}

export interface FailoverWorld {
  readonly failover: FailoverActions;
  pools: readonly PoolView[];
  readonly commands: FailoverCommand[];
  answer: CommandAnswer;
  readonly set: NodeChange[];
  /** What the agreed state answers; null: as it should. */
  refusal: CoordinatorError | null;
  history: readonly HistoryEvent[];
  readonly sinks: Set<(event: FailoverEvent) => void>;
}

export function failoverWorld(): FailoverWorld {
  const world: FailoverWorld = {
    pools: [poolView()],
    commands: [],
    answer: { ok: true, plan: null, text: 'b is primary of epoch 8' },
    set: [],
    refusal: null,
    history: [{ number: 3, at: wall, topic: 'failover', subject: 'app', text: 'a is primary (failover)' }],
    sinks: new Set(),
    failover: {
      pools: () => world.pools,
      command: (command) => {
        world.commands.push(command);
        return Promise.resolve(world.answer);
      },
      history: (after) => {
        const value = world.history.filter(({ number }) => number > after);
        const read = { value, freshness: { kind: 'local', ageMs: 0 }, revision: 1, index: 1 } as const;
        return Promise.resolve(world.refusal === null ? ok(read) : err(world.refusal));
      },
      setNode: (change) => {
        world.set.push(change);
        const ticket = { boot: 1, number: 1 };
        const written = { committed: true, value: { kind: 'done' }, index: 9, ticket } as const;
        return Promise.resolve(world.refusal === null ? ok(written) : err(world.refusal));
      },
      onEvent: (sink) => {
        world.sinks.add(sink);
        return () => void world.sinks.delete(sink);
      },
    },
  };
  return world;
}
