/**
 * One run of a member's process, as the world drives it: the machine `Member`, or what stands in for it in a test of the
 * world itself. All that the world needs of a member is here.
 */
import type { MemberId, Millis } from '../../src/base/ids.ts';
import type {
  MemberInput,
  MemberOptions,
  MemberOutput,
  MemberRestored,
  MemberStatus,
  PeerName,
} from '../../src/cluster/member/contract.ts';
import type { RaftMessage } from '../../src/cluster/raft/messages.ts';
import type { EntryBody, HardState } from '../../src/cluster/raft/model.ts';
import type { Replica } from '../../src/cluster/replica/replica.ts';

export interface Body {
  step(now: Millis, input: MemberInput): void;
  take(): MemberOutput;
  wakeAt(): Millis;
  status(): Pick<MemberStatus, 'phase' | 'state' | 'leader' | 'term' | 'quorum' | 'raft' | 'members'>;
  /** Leader: from when on no lease of the pool that was given until now is alive; null: it can't say. */
  writesOverAt(pool: string, unconfirmed?: readonly MemberId[]): Millis | null;
  /** Whether reads that see every strong write may be answered from its own state now. */
  mayRead(now: Millis): boolean;
  readonly replica: Replica;
}

/** How bodies are made, and how what they write and say is read by the checkers. */
export interface Species {
  /** Whether it knows strong writes; one that does not answers them as quorum writes. */
  readonly knowsStrong: boolean;
  make(options: MemberOptions, restored: MemberRestored): Body;
  hardOf(bytes: Uint8Array): HardState;
  entryOf(bytes: Uint8Array): EntryBody;
  /** Null: something else than a message of the agreement. */
  raftOf(bytes: Uint8Array, speaker: PeerName): RaftMessage | null;
}
