/**
 * What the admin API may ask of the cluster. Compose hands it in where the config has `cluster:`; without it the paths
 * of this folder answer 404 and say so.
 *
 *   /api/ha/state, /api/ha/locks, /api/ha/watch --> coordinator        (agreed state)
 *   /api/ha/status, /api/ha/cluster             --> status()           (this member's own view, no word is sent)
 *   /api/ha/cluster/...                         --> transfer, leave, change
 *
 * Nothing here throws or rejects for bad input: what can fail says so in its result.
 */
import type { Result } from '../../base/result.ts';
import type { Consistency, Coordinator, CoordinatorError } from '../../cluster/coordinator.ts';
import type { CallError, MemberStatus } from '../../cluster/member/contract.ts';

export type Called = Promise<Result<null, CallError>>;

export interface HaActions {
  readonly coordinator: Coordinator;
  status(): MemberStatus;
  /** Hands leadership to this member (uid or name), null: to the fittest. */
  transfer(to: string | null): Called;
  /**
   * This member leaves; `forGood`: out of the voters first. Answered when the others know; the process ends by itself
   * afterwards, not before this answer could go out.
   */
  leave(how: { readonly forGood: boolean }): Called;
  change(change: MemberChange): Called;
  /** What this member counted of the words between members, and its keys. */
  net(): NetShown;
  /** All of the agreed state, as the contents of a file. `eventual`: as this member has it. */
  backup(consistency: Consistency): Promise<Result<readonly Uint8Array[], CoordinatorError>>;
}

export interface NetShown {
  /** Which keys are in use, the sealing one first: names of four digits, nothing of the keys themselves. */
  readonly keys: readonly string[];
  /** Frames and connections that were not let in, by reason; those that came. */
  readonly dropped: Readonly<Record<string, number>>;
}

export interface MemberChange {
  /** `add`: a learner at least; `promote`: a voter. */
  readonly change: 'add' | 'promote' | 'remove';
  /** Uid or name of a member that gossip knows. */
  readonly member: string;
  /** Even if the new quorum could not commit now. */
  readonly force: boolean;
}
