/**
 * Failover as the rest of the process sees it: the driver, the desk where operators ask, and who is told of what happens.
 * It is there wherever agreed state is: in a member of a cluster, and in a process alone whose pools have failover.
 */

import { failoverProblem } from '../admin/ha/failover.ts';
import type { FailoverActions, NodeChange, PoolView } from '../admin/ha/failover-actions.ts';
import { isWriting } from '../admin/ha/failover-view.ts';
import type { ProblemAnswer } from '../admin/problem.ts';
import type { MemberId } from '../base/ids.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { FailoverEvent } from '../cluster/failover/contract.ts';
import type { MemberCoordinator } from '../cluster/io/coordinator.ts';
import type { MemberHost } from '../cluster/io/member-host.ts';
import type { Fact } from '../cluster/replica/model.ts';
import type { ObservedFailover } from '../observe/failover-source.ts';
import type { MemberLinks } from './cluster-member.ts';
import type { Control } from './control.ts';
import { Failover } from './failover.ts';
import { FailoverDesk } from './failover-desk.ts';
import { nodeName } from './failover-policy.ts';
import type { Log } from './log.ts';

export interface FailoverRoomParts {
  readonly host: MemberHost;
  readonly coordinator: MemberCoordinator;
  readonly control: Control;
  readonly log: Log;
}

/** Of words between members. */
const channels = { machine: 1, desk: 2 } as const;

export class FailoverRoom {
  readonly failover: Failover;
  readonly actions: FailoverActions;
  readonly #desk: FailoverDesk;
  readonly #parts: FailoverRoomParts;
  /** Epochs that were opened, by reason. */
  readonly #changes = new Map<string, Map<string, number>>();
  readonly #sinks = new Set<(event: FailoverEvent) => void>();

  constructor(parts: FailoverRoomParts) {
    this.#parts = parts;
    const { host, coordinator, control } = parts;
    this.failover = new Failover({
      host,
      coordinator,
      primary: control.scoreboard.primary,
      monitor: control.monitor,
      tell: (to, bytes) => host.tell(to, channels.machine, bytes),
      tlsOf: (pool) => control.loaded.upstreamTls.get(pool) ?? null,
      onEvent: (event) => this.#tell(event),
    });
    this.#desk = new FailoverDesk({
      command: (command) => this.failover.command(command),
      tell: (to, bytes) => host.tell(to, channels.desk, bytes),
      leader: () => host.status().leader,
    });
    this.actions = this.#actions();
    control.failover = this.failover;
  }

  /** For a member that is about to be opened: `room` is asked anew each time. */
  static links(room: () => FailoverRoom | null): MemberLinks {
    return {
      moving: (pool) => room()?.failover.moving(pool),
      void: (why) => room()?.failover.void(why),
      told: ({ from, channel, bytes }) => {
        if (channel === channels.machine) room()?.failover.told(from, bytes);
        if (channel === channels.desk) room()?.asked(from, bytes);
      },
    };
  }

  /** A word of another member's desk. */
  asked(from: MemberId, bytes: Uint8Array): void {
    this.#desk.told(from, bytes);
  }

  /** Before a node gets no more traffic: another one becomes primary, if it is the one now. */
  async switchAway(pool: string, node: string): Promise<Result<null, ProblemAnswer>> {
    const record = this.failover.status(pool)?.record ?? null;
    if (record?.target?.node !== node || record.phase === 'failed') return ok(null);
    if (record.phase === 'pending') {
      const detail = `${node} is just becoming primary of ${pool}: ask again when that has ended`;
      return err({ status: 409, title: 'Not now', detail, extra: { reason: 'busy' } });
    }
    const wish = { target: null, at: null, dryRun: false, force: false, acceptLoss: null, lost: [] };
    const answer = await this.#desk.command({ kind: 'switch', pool, ...wish });
    if (answer.ok) return ok(null);
    const problem = failoverProblem(answer.error, { pool, node });
    return err({ ...problem, detail: `${node} is the primary of ${pool}, and no other took over: ${problem.detail}` });
  }

  observe(slotOf: (pool: string) => number): ObservedFailover[] {
    return this.#views().map((view): ObservedFailover => {
      const { status } = view;
      const { chosenAt = 0, openedAt = 0 } = status.record?.times ?? {};
      return {
        ...{ pool: status.pool, slot: slotOf(status.pool), state: status.state, epoch: status.record?.epoch ?? 0 },
        writesSent: isWriting(view),
        automatic: status.record?.automatic ?? false,
        ...{ linkFault: status.linkFault, differing: status.differing.length },
        lastFailoverAt: status.record?.lastFailoverAt ?? 0,
        lastChangeMs: chosenAt > 0 && openedAt >= chosenAt ? openedAt - chosenAt : 0,
        changes: this.#changes.get(status.pool) ?? new Map(),
      };
    });
  }

  close(): void {
    this.#desk.close();
    this.failover.close();
    this.#sinks.clear();
  }

  #tell(event: FailoverEvent): void {
    this.#parts.log[event.level](`failover: ${event.pool}: ${event.text}`, { event: event.event, pool: event.pool });
    if (event.event === 'epoch_open') this.#count(event.pool);
    for (const sink of this.#sinks) sink(event);
  }

  #count(pool: string): void {
    const reason = this.failover.status(pool)?.record?.reason;
    if (reason === undefined) return;
    const counts = this.#changes.get(pool) ?? new Map<string, number>();
    this.#changes.set(pool, counts);
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }

  #actions(): FailoverActions {
    const { coordinator } = this.#parts;
    return {
      pools: () => this.#views(),
      command: (command) => this.#desk.command(command),
      history: async (after) => {
        const read = await coordinator.history(after, { consistency: 'eventual' });
        if (!read.ok) return read;
        return ok({ ...read.value, value: read.value.value.filter(({ topic }) => topic === 'failover') });
      },
      setNode: (change) => this.#setNode(change),
      onEvent: (sink) => {
        this.#sinks.add(sink);
        return () => void this.#sinks.delete(sink);
      },
    };
  }

  #views(): PoolView[] {
    const { host } = this.#parts;
    const { agreedNow } = host.status();
    return this.failover.statuses().flatMap((status): PoolView[] => {
      const policy = this.failover.policy(status.pool);
      if (policy === null) return [];
      const { board } = this.failover;
      const here = { parked: board.parked(status.pool), lacking: board.lacking(status.pool) };
      return [{ status, policy, ...here, now: host.now(), agreedNow }];
    });
  }

  async #setNode({ pool, node, role, priority }: NodeChange): ReturnType<FailoverActions['setNode']> {
    const { coordinator } = this.#parts;
    const id = nodeName(pool, node);
    const known = await coordinator.records('node');
    if (!known.ok) return known;
    const set = new Map<string, string | null>(known.value.value.find((one) => one.id === id)?.facts ?? []);
    if (priority !== undefined) set.set('priority', priority === null ? null : String(priority));
    if (role !== undefined) set.set('role', role);
    const facts = [...set].flatMap(([name, text]): Fact[] => (text === null ? [] : [[name, text]])).sort(byName);
    if (facts.length === 0) return coordinator.propose({ kind: 'unregister', what: 'node', id });
    return coordinator.propose({ kind: 'register', what: 'node', id, facts });
  }
}

const byName = ([a]: Fact, [b]: Fact): number => (a < b ? -1 : 1);
