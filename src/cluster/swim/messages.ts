/**
 * What members send each other, and what goes into and comes out of the machine.
 *
 *   datagram   one message (or none: plain gossip) and as many updates as fit into 1400 bytes
 *   stream     one request, one answer, over a reliable connection that the driver opens and closes
 *
 *   prober --ping--> target --ack--> prober
 *   prober --relay--> helper --ping--> target --ack--> helper --ack--> prober     or helper --nack--> prober
 *   a --compare(digest)--> b --same | differs--> a      and if they differ      a --sync(all)--> b --sync(all)--> a
 *
 * Updates are the gossip: statements about a member that are passed on a bounded number of times.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Address, Claim, Metadata, Status, SwimEvent } from './model.ts';

/** Who speaks, in every message. Peers hold the sender's own word on its incarnation above any hearsay. */
export interface Sender {
  readonly id: MemberId;
  readonly boot: number;
  readonly incarnation: number;
  /** Local health score, 0 to 7. */
  readonly score: number;
}

/** Names a claim without repeating it. */
export interface Subject {
  readonly id: MemberId;
  readonly boot: number;
  readonly incarnation: number;
}

export type Update =
  | { readonly kind: 'alive'; readonly claim: Claim }
  | { readonly kind: 'suspect'; readonly subject: Subject; readonly by: MemberId }
  | { readonly kind: 'dead'; readonly subject: Subject; readonly by: MemberId }
  | { readonly kind: 'left'; readonly subject: Subject }
  /** Whom a member cannot reach by itself; `number` grows with every change within a boot. */
  | {
      readonly kind: 'sight';
      readonly id: MemberId;
      readonly boot: number;
      readonly number: number;
      readonly blindTo: readonly MemberId[];
    };

export type Message =
  | { readonly kind: 'gossip' }
  /** The target as the prober knows it. If that is not its newest word, the ack brings it. */
  | { readonly kind: 'ping'; readonly seq: number; readonly target: Subject }
  /** `stranger`: "I don't know you", not in this boot at least. A member answers with its claim. */
  | { readonly kind: 'ack'; readonly seq: number; readonly stranger: boolean }
  /** "Ping this member for me, and say nack if it does not answer you." Helpers use the address that they know. */
  | { readonly kind: 'relay'; readonly seq: number; readonly target: MemberId }
  | { readonly kind: 'nack'; readonly seq: number };

export interface Datagram {
  readonly sender: Sender;
  readonly message: Message;
  readonly updates: readonly Update[];
}

/** A member as told in a sync. */
export interface SyncEntry {
  readonly claim: Claim;
  readonly status: Status;
}

/** XOR of the hashes of all living claims: two numbers of 32 bits. Equal digests mean equal lists. */
export type Digest = readonly [number, number];

export type StreamRequest =
  | { readonly kind: 'ping'; readonly sender: Sender; readonly target: MemberId }
  | { readonly kind: 'compare'; readonly sender: Sender; readonly digest: Digest }
  | {
      readonly kind: 'sync';
      readonly sender: Sender;
      readonly entries: readonly SyncEntry[];
      readonly sights: readonly Sight[];
    };

export type StreamAnswer =
  | { readonly kind: 'ack'; readonly sender: Sender }
  | { readonly kind: 'same'; readonly sender: Sender }
  | { readonly kind: 'differs'; readonly sender: Sender }
  | {
      readonly kind: 'sync';
      readonly sender: Sender;
      readonly entries: readonly SyncEntry[];
      readonly sights: readonly Sight[];
    };

export type Sight = Extract<Update, { readonly kind: 'sight' }>;

export type SwimInput =
  | { readonly kind: 'tick' }
  /** A frame that was opened and decoded. `from` is where it came from and where an answer goes to. */
  | { readonly kind: 'datagram'; readonly from: Address; readonly datagram: Datagram }
  /** Somebody opened a stream here. It is answered in the same step, or not at all: then close it. */
  | { readonly kind: 'request'; readonly stream: number; readonly request: StreamRequest }
  /** The answer to a stream of ours, by the number in `StreamToOpen`. */
  | { readonly kind: 'answer'; readonly stream: number; readonly answer: StreamAnswer }
  /** A stream of ours could not be opened, broke, timed out or brought a malformed answer. */
  | { readonly kind: 'failed'; readonly stream: number }
  /** Seeds are tried for ever. Empty: this member is ACTIVE at once. May be given again with other seeds. */
  | { readonly kind: 'join'; readonly seeds: readonly Address[] }
  | { readonly kind: 'leave' }
  /** The event loop stood still for so long until now. Stalls that show in late steps are seen without it. */
  | { readonly kind: 'stall'; readonly ms: Millis }
  | { readonly kind: 'metadata'; readonly metadata: Metadata };

export interface OutDatagram {
  readonly to: Address;
  readonly datagram: Datagram;
  /** Encoded size, at most `datagramBytesMax`. */
  readonly bytes: number;
}

export interface StreamToOpen {
  readonly stream: number;
  readonly to: Address;
  readonly request: StreamRequest;
  /** Give up after so long. */
  readonly timeoutMs: Millis;
}

export interface StreamReply {
  /** The number that came with the request. */
  readonly stream: number;
  readonly answer: StreamAnswer;
}

export interface SwimOutput {
  readonly datagrams: readonly OutDatagram[];
  readonly open: readonly StreamToOpen[];
  readonly replies: readonly StreamReply[];
  readonly events: readonly SwimEvent[];
}

/** Largest datagram payload before sealing: with seal, UDP and IP header it stays below an Ethernet frame. */
export const datagramBytesMax = 1400;
/** Largest stream message before sealing. */
export const streamBytesMax = 4 * 1024 * 1024;
