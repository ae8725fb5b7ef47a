/**
 * Datagrams sealed and opened.
 *
 * The sealer's counter begins at the wall clock (sixteenths of a millisecond), not at 0: should a boot number be used
 * twice, because a data folder was put back from an old copy, no nonce is used twice with it. The opener keeps, per
 * sender, the highest boot that it has heard authentically and the window of counters of that boot.
 */
import type { KeyObject } from 'node:crypto';
import type { MemberId } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import {
  type ClusterTag,
  counterLimit,
  type DatagramHeader,
  type DropReason,
  datagramHeaderBytes,
  datagramPayloadMax,
  noCluster,
  putCounter,
  putDatagramHeader,
  readDatagramHeader,
} from '../frames/header.ts';
import { ReplayWindow } from '../frames/replay.ts';
import { seal, unseal } from './gcm.ts';
import type { Keyring } from './keyring.ts';

export interface Self {
  readonly id: MemberId;
  /** Raised and synced before the first frame. */
  readonly boot: number;
}

export const firstCounter = (wallMs: number): number => Math.floor(wallMs * 16) % counterLimit;

export class DatagramSealer {
  readonly #key: KeyObject;
  readonly #head = new Uint8Array(datagramHeaderBytes);
  #counter: number;

  constructor(options: { readonly keys: Keyring; readonly self: Self; readonly cluster: ClusterTag; counter: number }) {
    const { keys, self, cluster, counter } = options;
    this.#key = keys.sealing.datagramKey(self.id, self.boot);
    this.#counter = counter;
    putDatagramHeader(this.#head, { key: keys.sealing.id, cluster, sender: self.id, boot: self.boot, counter });
  }

  /** The next counter: a sealer that takes this one's place goes on from here. */
  get counter(): number {
    return this.#counter;
  }

  /** null: larger than a datagram may be. */
  seal(payload: Uint8Array): Buffer | null {
    if (payload.byteLength > datagramPayloadMax) return null;
    const counter = this.#counter++;
    putCounter(this.#head, counter);
    return seal({ key: this.#key, counter, head: this.#head }, payload);
  }
}

export interface Opened extends DatagramHeader {
  readonly payload: Uint8Array;
}

export interface Dropped {
  readonly reason: DropReason;
  /** Set where the frame was authentic. */
  readonly sender?: MemberId;
  readonly cluster?: ClusterTag;
}

interface Sender {
  readonly boot: number;
  readonly window: ReplayWindow;
  readonly keys: Map<number, KeyObject>;
}

/** Beyond so many senders the one heard first is forgotten, and with it what it sent. */
const sendersMax = 16_384;

export interface OpenerOptions {
  readonly keys: Keyring;
  readonly self: Self;
  readonly cluster: ClusterTag;
  /** Highest boots that were heard in earlier runs. */
  readonly boots?: ReadonlyMap<MemberId, number>;
}

export class DatagramOpener {
  readonly #self: Self;
  readonly #boots: ReadonlyMap<MemberId, number>;
  readonly #senders = new Map<MemberId, Sender>();
  #keys: Keyring;
  #cluster: ClusterTag;

  constructor(options: OpenerOptions) {
    this.#self = options.self;
    this.#keys = options.keys;
    this.#cluster = options.cluster;
    this.#boots = options.boots ?? new Map();
  }

  /** What was heard of the senders lives on. */
  use(keys: Keyring, cluster: ClusterTag): void {
    this.#keys = keys;
    this.#cluster = cluster;
    for (const sender of this.#senders.values()) sender.keys.clear();
  }

  open(frame: Uint8Array): Result<Opened, Dropped> {
    const header = readDatagramHeader(frame);
    if (typeof header === 'string') return err({ reason: header });
    const key = this.#keys.find(header.key);
    if (key === null) return err({ reason: 'key' });
    const known = this.#senders.get(header.sender);
    const sameBoot = known?.boot === header.boot;
    const cached = sameBoot ? known.keys.get(header.key) : undefined;
    const derived = cached ?? key.datagramKey(header.sender, header.boot);
    const head = frame.subarray(0, datagramHeaderBytes);
    const payload = unseal({ key: derived, counter: header.counter, head }, frame.subarray(datagramHeaderBytes));
    if (payload === null) return err({ reason: 'forged' });
    const reason = this.#judge(header, known);
    if (reason !== null) return err({ reason, sender: header.sender, cluster: header.cluster });
    const sender = sameBoot ? known : this.#meet(header);
    sender.window.mark(header.counter);
    if (cached === undefined) sender.keys.set(header.key, derived);
    return ok({ ...header, payload });
  }

  /** Of an authentic frame: whether it is for us, and new. */
  #judge(header: DatagramHeader, known: Sender | undefined): DropReason | null {
    if (header.sender === this.#self.id && header.boot === this.#self.boot) return 'reflected';
    if (!sameCluster(header.cluster, this.#cluster)) return 'cluster';
    if (header.boot < (known?.boot ?? this.#boots.get(header.sender) ?? 0)) return 'boot';
    return known?.boot === header.boot && known.window.knows(header.counter) ? 'replayed' : null;
  }

  #meet(header: DatagramHeader): Sender {
    const sender = { boot: header.boot, window: new ReplayWindow(), keys: new Map<number, KeyObject>() };
    this.#senders.delete(header.sender);
    this.#senders.set(header.sender, sender);
    if (this.#senders.size > sendersMax) {
      const first = this.#senders.keys().next();
      if (first.done !== true) this.#senders.delete(first.value);
    }
    return sender;
  }
}

/** A member that has no cluster yet may speak with every one: that is how it joins. */
export const sameCluster = (a: ClusterTag, b: ClusterTag): boolean => a === b || a === noCluster || b === noCluster;
