/** One pool on one member: what its file says, what is agreed, and what guard and director keep beside it. */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { BoardWrite, LeaseGrant } from './contract.ts';
import type { Core } from './core.ts';
import type { PoolPolicy, PoolRecord, PoolState, Target } from './model.ts';
import { Reports } from './reports.ts';

/** What a leader last said of this pool, for members that don't lead. */
export interface ToldState {
  readonly state: PoolState;
  readonly reason: string;
  readonly differing: readonly string[];
  readonly at: Millis;
}

export class Pool {
  readonly name: string;
  readonly reports: Reports;
  /** When this member began to count what it passes on. */
  readonly since: Millis;
  /** The epoch that was open, or had been last, when it first saw a record; and since when, agreed time, if it was open. */
  began: { readonly epoch: number; readonly openedAt: Millis | null } | null = null;
  policy: PoolPolicy | null = null;
  record: PoolRecord | null = null;
  /** Earliest time at which something is due here; each look at the pool sets it anew. */
  wakeAt: Millis = 0;

  lease: LeaseGrant | null = null;
  /** Asked for, not answered yet: id to when. */
  readonly asks = new Map<number, Millis>();
  nextAskAt: Millis = 0;
  /** Why the last ask was refused; said once. */
  leaseRefused = '';
  /** Leases that were asked for under this id or before don't count any more. */
  voidUpTo = 0;
  /** An entry that moves the epoch is in the own log, and not applied yet; the id up to which leases asked for before. */
  moving: number | null = null;
  /** When this member learned that the newest open epoch ends. */
  endingAt: Millis | null = null;
  /** The fencing board was handed out, so that what is held from now on is all that is left. */
  fencing = false;
  held: { readonly writing: number; readonly passed: number | null } | null = null;
  heldToldAt: Millis = 0;
  /** A switch: writes of this open epoch finish, none begins. */
  drain: { readonly epoch: number; readonly until: Millis } | null = null;
  /** Since when a node contradicts what is agreed. */
  foreignSince: Millis | null = null;
  /** Why it is a split, and was said to be one. */
  split: string | null = null;
  /** Nodes that say that they are primary, and are not: since when, and whether a later check said it again. */
  readonly claims = new Map<string, { readonly since: Millis; readonly said: boolean }>();
  board: BoardWrite | null = null;
  probedAt = new Map<string, Millis>();
  toldFailures = new Map<string, number>();
  told: ToldState | null = null;
  /** Members whose policy is another, as they said. */
  readonly hashes = new Map<MemberId, string>();

  constructor(name: string, core: Core) {
    this.name = name;
    this.since = core.now;
    this.reports = new Reports(core);
  }

  wake(at: Millis): void {
    if (at < this.wakeAt) this.wakeAt = at;
  }

  /** The file's node of that name, as a target; null if it has none. */
  targetOf(node: string): Target | null {
    const found = this.policy?.nodes.find(({ id }) => id === node);
    return found === undefined ? null : { node: found.id, url: found.url };
  }
}
