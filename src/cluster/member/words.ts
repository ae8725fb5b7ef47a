/**
 * What members say to each other over the kept connection, beside gossip.
 *
 *   head      who speaks is proved by the connection; cluster, run and abilities stand in every word
 *   raft      a message of agreement
 *   form      while forming, again and again, to every first voter:  new -> promised(list) -> has a cluster
 *   cluster   "I have a cluster, its leader is there": the answer to form and join of whoever has none or is not in it
 *   join      "take me in", to the leader
 *   ask, told what a member asks of the leader, and the answer. Asked again under the same id until it is answered
 *   hash      of the state at an index, each 1 000 entries
 *   away      "not you": a removed uid, a taken name
 *   who       "which run are you?", to a run that is new or older than the one that is known; with what is known
 *   run       the answer, and the first word of a run: what only its own disk can say of it
 *   tell      bytes of a room above (failover's reports and fences), to one member; may be lost
 */
import type { Bytes, MemberId, Millis } from '../../base/ids.ts';
import type { Refusal } from '../raft/contract.ts';
import type { RaftMessage } from '../raft/messages.ts';
import type { Hash64 } from '../replica/fingerprint.ts';
import type { Address } from '../swim/model.ts';
import type { ChangeRefusal } from './contract.ts';

export interface Head {
  /** Empty while the speaker has none. */
  readonly cluster: string;
  /** Number of the speaker's run. */
  readonly run: number;
  /** Newest version of commands that it understands. */
  readonly commands: number;
  /** It begins writes without a lease where the quorum is all voters (2.8). */
  readonly leaseless: boolean;
  /** The agreed time as the speaker's clock has it from a leader, whole ms. Absent: it has it from nobody. */
  readonly agreed?: Millis;
}

/** A first voter as its peers promised it. */
export interface FirstVoter {
  readonly address: Address;
  readonly id: MemberId;
}

export type Ask =
  | { readonly kind: 'propose'; readonly strong: boolean; readonly data: Uint8Array }
  | {
      readonly kind: 'change';
      readonly change: 'add' | 'promote' | 'remove';
      readonly member: string;
      readonly force: boolean;
    }
  | { readonly kind: 'transfer'; readonly to: string | null }
  | { readonly kind: 'lease'; readonly pool: string; readonly epoch: number };

export type Told =
  /** A proposal: committed at this index; look the result up once it is applied. */
  | { readonly kind: 'committed'; readonly index: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'not-open'; readonly open: number | null }
  | { readonly kind: 'refused'; readonly why: ToldRefusal }
  | { readonly kind: 'unknown' };

export type ToldRefusal = Refusal | ChangeRefusal | 'unsupported' | 'malformed' | 'not-member';

export type Word =
  | { readonly kind: 'raft'; readonly message: RaftMessage }
  | {
      readonly kind: 'form';
      readonly name: string;
      readonly address: Address;
      /** Hash of its first voters' addresses. */
      readonly set: string;
      /** Whom it promised itself to, sorted by address; null: nobody yet. */
      readonly promised: readonly FirstVoter[] | null;
    }
  | { readonly kind: 'cluster'; readonly leader: Address | '' }
  | { readonly kind: 'join'; readonly name: string; readonly address: Address }
  | { readonly kind: 'ask'; readonly id: number; readonly ask: Ask }
  /** `run`: of who asked. */
  | { readonly kind: 'told'; readonly id: number; readonly run: number; readonly told: Told }
  | { readonly kind: 'hash'; readonly index: number; readonly hash: Hash64 }
  | { readonly kind: 'away'; readonly why: 'removed' | 'name-taken'; readonly both: number }
  | {
      readonly kind: 'who';
      /** The run that is asked. */
      readonly both: number;
      /** The newest run of that member which counts here, with its proof; 0 and empty: none. */
      readonly last: number;
      readonly proof: string;
      /** What it acknowledged to have on disk in that run, as the leader that asks knows it. */
      readonly had: LogEnd;
      /** Of who asks. */
      readonly address: Address;
    }
  | {
      readonly kind: 'run';
      /** The run that was asked about; 0: nobody asked, or nothing was known. */
      readonly after: number;
      readonly proof: string;
      /** What it had on disk as it started. */
      readonly had: LogEnd;
      /** Of who speaks. */
      readonly address: Address;
    }
  | { readonly kind: 'tell'; readonly channel: number; readonly bytes: Uint8Array };

/** The last entry of a log; zeros: none. What is on a disk only grows in this order: term, then index. */
export interface LogEnd {
  readonly term: number;
  readonly index: number;
}

export const noEnd: LogEnd = { term: 0, index: 0 };

/** Longest `tell`. */
export const tellBytesMax: Bytes = 32 * 1024;
/** Channels are below this. */
export const channelsMax = 256;

export type WordKind = Word['kind'];
