/**
 * The words of membership.
 *
 *   Claim     what a member says of itself. Its pair (boot, incarnation) orders claims of one id: the higher one holds.
 *             The boot number grows with every start, the incarnation whenever the running member has news of itself:
 *             a refutation, other metadata.
 *   Status    what another member holds of it: alive -> suspect -> dead, or left by its own word.
 *   View      both, as shown to the rooms above.
 *
 * A name belongs to one living member at a time. Membership says who seems to be there; who votes is agreed elsewhere
 * and never follows from this.
 */
import type { MemberId, Millis } from '../../base/ids.ts';

/** `host:port`; host is an IPv4 address, an IPv6 address in brackets or a DNS name. */
export type Address = string;

/** Bounded texts and numbers that a member tells of itself. Changed by the `metadata` input. */
export interface Metadata {
  /** Version of the program, at most 32 characters. */
  readonly version: string;
  /** 0 to 65535; what it means is up to the agreement: 0 never leads. */
  readonly priority: number;
  /** Votes and carries no traffic. */
  readonly witness: boolean;
  /** Address of the admin API, or empty. */
  readonly admin: Address | '';
  /** Failure zone, at most 64 characters, or empty. */
  readonly zone: string;
}

export interface Claim {
  readonly id: MemberId;
  readonly boot: number;
  readonly incarnation: number;
  readonly name: string;
  readonly address: Address;
  /** It has started and has not met the cluster yet. */
  readonly joining: boolean;
  readonly metadata: Metadata;
}

export type Status = 'alive' | 'suspect' | 'dead' | 'left';

/** As shown to people. LEADER and DEGRADED are put over ACTIVE by the rooms that know of them. */
export type MemberState = 'JOINING' | 'ACTIVE' | 'LEAVING' | 'UNREACHABLE';

/** How this member's last probe of another was answered: by datagram, by stream only, through others only, not at all. */
export type Reach = 'unknown' | 'direct' | 'stream' | 'indirect' | 'none';

export interface MemberView {
  readonly claim: Claim;
  readonly status: Status;
  readonly state: MemberState;
  /** When it came into this status, as this member saw it. */
  readonly since: Millis;
  /** When it was last heard directly; -Infinity if never. */
  readonly heardAt: Millis;
  /** Its local health score as it last told directly: 0 (well) to 7. From `degradedScore` on it should be shown as DEGRADED. */
  readonly healthScore: number;
  readonly reach: Reach;
  /**
   * Living members that this one cannot reach by itself. Told by gossip when it changes, in clusters of at most
   * `sightMembersMax`; empty in larger ones. Everybody who is not in the list is seen.
   */
  readonly blindTo: readonly MemberId[];
  readonly self: boolean;
}

/** A local health score from which on a member counts as degraded: its probe interval is then four times as long. */
export const degradedScore = 3;

/** Clusters up to this size tell who sees whom. */
export const sightMembersMax = 32;

export type SwimEvent =
  | { readonly kind: 'joined'; readonly claim: Claim; readonly replaced: MemberId | null }
  | { readonly kind: 'suspected'; readonly claim: Claim; readonly by: MemberId }
  /** A suspected or dead member showed that it lives; or this member had to (its own claim). */
  | { readonly kind: 'refuted'; readonly claim: Claim; readonly was: 'suspect' | 'dead' }
  | { readonly kind: 'dead'; readonly claim: Claim; readonly by: MemberId }
  | { readonly kind: 'left'; readonly claim: Claim }
  /** Known under a higher boot number: it was started anew. */
  | { readonly kind: 'restarted'; readonly claim: Claim; readonly before: Claim }
  | { readonly kind: 'metadata'; readonly claim: Claim; readonly before: Claim }
  /**
   * `name`: another uid claims a living member's name, and is refused. `id`: two processes run under one uid (a copied
   * data folder), or this process was overtaken by a later boot of its own. `self` says that this member is one of
   * both. Told at most every 10 s per pair.
   */
  | {
      readonly kind: 'conflict';
      readonly over: 'name' | 'id';
      readonly held: Claim;
      readonly claimed: Claim;
      readonly self: boolean;
    }
  /** This member has met the cluster (or has no seeds): it is ACTIVE. */
  | { readonly kind: 'met' }
  /** This member's leave has been told to enough others, or nobody is left to tell: the process may end. */
  | { readonly kind: 'departed' };

/** Counts since the start; for metrics. */
export interface SwimCounts {
  probes: number;
  probeFailures: number;
  indirectProbes: number;
  suspicions: number;
  refutations: number;
  deaths: number;
  conflicts: number;
  stalls: number;
  syncs: number;
  /** Peers' words that were not accepted, by reason. */
  readonly refused: Record<RefusedWord, number>;
}

/**
 * `leap`: an incarnation or boot number too far ahead of what is known; `full`: the member list is at its bound;
 * `stranger`: asked for what only members may ask; `misdirected`: meant for another member; `conflict`: name or id taken.
 */
export type RefusedWord = 'leap' | 'full' | 'stranger' | 'misdirected' | 'conflict';
